//! Sets up what a listing with partitions is made of: the values, or the parents.

use super::walk::{Router, Source};
use super::{Family, Listing};
use crate::error::SpecError;
use crate::key::RecordKey;
use crate::paging::hash;
use crate::partition::{NAMES, Naming, Partition};
use crate::select::Lens;
use crate::spec::{BaseUrl, ListRouter, ParentStream, PartitionRouter, ReadSpec, SubstreamRouter};
use hms_sync_model::CollectionName;

/// Parents of parents, so many deep.
const DEPTH_MAX: usize = 4;
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
        let router = match spec {
            PartitionRouter::List(spec) => self.values(key, spec)?,
            PartitionRouter::Substream(spec) => self.parents(key, base, spec, family, depth)?,
        };
        self.check_named(key, &router.naming)?;
        if let Source::Parents { listing, .. } = &router.source {
            self.settings = hash(&(self.settings, listing.settings));
        }
        self.router = Some(router);
        Ok(())
    }

    fn values(&self, key: &str, spec: &ListRouter) -> Result<Router, SpecError> {
        let ListRouter { values, partition_field, request_option, record_field } = spec;
        let option = request_option.as_ref();
        let naming = Naming::new(key, partition_field, &[], option, record_field.as_ref(), self.is_post())?;
        let bad = |why: String| SpecError::new(format!("{key}.values"), why);
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(bad(format!("has {} values; 1 to {VALUES_MAX} are taken", values.len())));
        }
        let values: Result<Vec<Partition>, String> =
            values.iter().map(|value| naming.partition(value, None)).collect();
        let values = values.map_err(|why| bad(format!("must be texts or whole numbers, not {why}")))?;
        Ok(Router::new(naming, Source::Values(values)))
    }

    fn parents(
        &self,
        key: &str,
        base: &BaseUrl,
        spec: &SubstreamRouter,
        family: &Family,
        depth: usize,
    ) -> Result<Router, SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        if depth >= DEPTH_MAX {
            return Err(bad("parent_stream", format!("parents have parents {DEPTH_MAX} deep at most")));
        }
        let SubstreamRouter { partition_field, extra_fields, request_option, record_field, .. } = spec;
        let (option, record_field) = (request_option.as_ref(), record_field.as_ref());
        let naming = Naming::new(key, partition_field, extra_fields, option, record_field, self.is_post())?;
        if spec.parent_key.is_empty() {
            return Err(bad("parent_key", "names no field".to_owned()));
        }
        let key = format!("{key}.parent_stream");
        let (read, lens) = match &spec.parent_stream {
            ParentStream::Listing(read) => (&**read, Lens::plain(RecordKey::at(spec.parent_key.clone()))),
            ParentStream::Collection(name) => named(&key, name, family)?,
        };
        let listing = Self::below(&key, base, read, &lens, family, depth + 1)?;
        let source = Source::Parents {
            listing: Box::new(listing),
            lens: Box::new(lens),
            key: spec.parent_key.clone(),
        };
        Ok(Router::new(naming, source))
    }

    /// A request that does not say of which partition it is lists the same for each.
    fn check_named(&self, key: &str, naming: &Naming) -> Result<(), SpecError> {
        let mut said = naming.spot.is_some();
        for name in NAMES {
            for member in self.members_of(name) {
                if !naming.knows(&member) {
                    let why = format!(
                        "is `{}`, but a template of this listing names `{name}.{member}`",
                        naming.field()
                    );
                    return Err(SpecError::new(format!("{key}.partition_field"), why));
                }
            }
            said |= self.uses(name);
        }
        if said {
            return Ok(());
        }
        let why = format!(
            "no request says of which it is: put `{{{{ stream_partition.{} }}}}` into `path` or a parameter, or \
             set `request_option`",
            naming.field()
        );
        Err(SpecError::new(key, why))
    }

    fn members_of(&self, name: &str) -> Vec<String> {
        let mut members = self.ask.members_of(name);
        members.extend(self.body.iter().flat_map(|body| body.members_of(name)));
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
