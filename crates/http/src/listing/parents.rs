//! Sets up what a listing with partitions is made of: the values, or the parents.

use super::walk::{Router, Source};
use super::{Family, Listing};
use crate::error::SpecError;
use crate::key::RecordKey;
use crate::paging::hash;
use crate::partition::{NAMES, Naming, Namings, Partition};
use crate::select::Lens;
use crate::spec::{
    BaseUrl, ListRouter, ParentSpec, ParentStream, PartitionRouter, ReadSpec, SubstreamRouter,
};
use hms_sync_model::CollectionName;

/// Parents of parents, so many deep.
const DEPTH_MAX: usize = 4;
/// The most routers of one listing, and the most kinds of parents of one router.
const ROUTERS_MAX: usize = 8;
/// The most values of a list.
const VALUES_MAX: usize = 10_000;

impl Listing {
    /// `key` is where it stands in the config.
    pub(super) fn parted(
        &mut self,
        key: &str,
        base: &BaseUrl,
        spec: &PartitionRouter,
        family: &Family,
        depth: usize,
    ) -> Result<(), SpecError> {
        let several = match spec {
            PartitionRouter::Product(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        if several.is_empty() || several.len() > ROUTERS_MAX {
            let why = format!("has {} routers; 1 to {ROUTERS_MAX} are taken", several.len());
            return Err(SpecError::new(key, why));
        }
        let (mut namings, mut sources) = (Vec::new(), Vec::new());
        for (n, spec) in several.iter().enumerate() {
            let key = if several.len() > 1 { format!("{key}.{}", n + 1) } else { key.to_owned() };
            let (names, of) = match spec {
                PartitionRouter::List(spec) => self.values(&key, spec)?,
                PartitionRouter::Substream(spec) => self.parents(&key, base, spec, family, depth)?,
                PartitionRouter::Product(_) => {
                    return Err(SpecError::new(key, "is a list in a list of routers".to_owned()));
                }
            };
            namings.push(names);
            sources.push(of);
        }
        let namings = Namings(namings);
        self.check_named(key, &namings)?;
        for source in sources.iter().flatten() {
            if let Source::Parents { listing, .. } = source {
                self.settings = hash(&(self.settings, listing.settings));
            }
        }
        self.router = Some(Router::new(namings, sources));
        Ok(())
    }

    fn values(&self, key: &str, spec: &ListRouter) -> Result<(Vec<Naming>, Vec<Source>), SpecError> {
        let ListRouter { values, partition_field, request_option, record_field } = spec;
        let option = request_option.as_ref();
        let naming = Naming::new(key, partition_field, &[], option, record_field.as_ref(), self.carries())?;
        let bad = |why: String| SpecError::new(format!("{key}.values"), why);
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(bad(format!("has {} values; 1 to {VALUES_MAX} are taken", values.len())));
        }
        let values: Result<Vec<Partition>, String> =
            values.iter().map(|value| naming.partition(0, value, None)).collect();
        let values = values.map_err(|why| bad(format!("must be texts or whole numbers, not {why}")))?;
        Ok((vec![naming], vec![Source::Values(values)]))
    }

    fn parents(
        &self,
        key: &str,
        base: &BaseUrl,
        spec: &SubstreamRouter,
        family: &Family,
        depth: usize,
    ) -> Result<(Vec<Naming>, Vec<Source>), SpecError> {
        let kinds = spec.parents().map_err(|why| SpecError::new(key, why))?;
        if kinds.len() > ROUTERS_MAX {
            let why = format!("has {} kinds of parents; {ROUTERS_MAX} are taken", kinds.len());
            return Err(SpecError::new(format!("{key}.parent_stream_configs"), why));
        }
        let several = spec.parent_stream.is_none();
        let (mut namings, mut sources) = (Vec::new(), Vec::new());
        for (n, kind) in kinds.iter().enumerate() {
            let key = if several { format!("{key}.parent_stream_configs.{}", n + 1) } else { key.to_owned() };
            let (naming, source) = self.kind(&key, base, kind, family, depth)?;
            namings.push(naming);
            sources.push(source);
        }
        Ok((namings, sources))
    }

    /// One kind of parents.
    fn kind(
        &self,
        key: &str,
        base: &BaseUrl,
        spec: &ParentSpec,
        family: &Family,
        depth: usize,
    ) -> Result<(Naming, Source), SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        if depth >= DEPTH_MAX {
            return Err(bad("parent_stream", format!("parents have parents {DEPTH_MAX} deep at most")));
        }
        let ParentSpec { partition_field, extra_fields, request_option, record_field, .. } = spec;
        let (option, record_field) = (request_option.as_ref(), record_field.as_ref());
        let naming = Naming::new(key, partition_field, extra_fields, option, record_field, self.carries())?;
        let naming = naming.asked_by(&self.sources());
        if spec.parent_key.is_empty() {
            return Err(bad("parent_key", "names no field".to_owned()));
        }
        let key = format!("{key}.parent_stream");
        let (read, lens) = match &spec.parent_stream {
            ParentStream::Listing(read) => (&**read, Lens::plain(RecordKey::at(spec.parent_key.clone()))),
            ParentStream::Collection(name) => named(&key, name, family)?,
        };
        let mut listing = Self::below(&key, base, read, &lens, family, depth + 1)?;
        // Which are the same partition is told by more than their key.
        listing.shows_all = true;
        let source = Source::Parents {
            listing: Box::new(listing),
            lens: Box::new(lens),
            key: spec.parent_key.clone(),
        };
        Ok((naming, source))
    }

    /// A request that does not say of which partition it is lists the same for each.
    fn check_named(&self, key: &str, namings: &Namings) -> Result<(), SpecError> {
        let members: Vec<String> = NAMES.iter().flat_map(|name| self.members_of(name)).collect();
        if let Some(member) = members.iter().find(|member| !namings.iter().any(|of| of.knows(member))) {
            let why = format!(
                "is `{}`, but a template of this listing names `stream_partition.{member}`",
                namings.fields()
            );
            return Err(SpecError::new(format!("{key}.partition_field"), why));
        }
        let bare = members.is_empty() && NAMES.iter().any(|name| self.uses(name));
        let said = |of: &&Naming| of.spot.is_some() || bare || members.iter().any(|member| of.knows(member));
        let Some(unsaid) = namings.iter().find(|of| !said(of)) else { return Ok(()) };
        let why = format!(
            "no request says of which it is: put `{{{{ stream_partition.{} }}}}` into `path` or a parameter, or \
             set `request_option`",
            unsaid.field()
        );
        Err(SpecError::new(key, why))
    }

    /// The templates of all requests, as they were written.
    fn sources(&self) -> Vec<&str> {
        let of_job = self.job.iter().flat_map(|job| job.sources());
        self.ask.sources().chain(self.body.sources()).chain(of_job).collect()
    }

    fn members_of(&self, name: &str) -> Vec<String> {
        let mut members = self.ask.members_of(name);
        members.extend(self.body.members_of(name));
        members.extend(self.job.iter().flat_map(|job| job.members_of(name)));
        members
    }
}

/// How a collection of the same side is listed.
fn named<'f>(key: &str, name: &str, family: &'f Family) -> Result<(&'f ReadSpec, Lens), SpecError> {
    let bad = |why: String| SpecError::new(key, why);
    let there = CollectionName::try_new(name).ok().and_then(|name| family.get_key_value(&name));
    let Some((name, parent)) = there else {
        let all: Vec<&str> = family.keys().map(CollectionName::as_str).collect();
        return Err(bad(format!("`{name:.60}` is no collection of this side; it has {}", all.join(", "))));
    };
    let Some(read) = &parent.read else {
        return Err(bad(format!("`{name}` has no `read` on this side")));
    };
    let lens = Lens::new(name.as_str(), parent)?;
    Ok((read, lens))
}
