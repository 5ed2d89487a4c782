# dlt reads a collection with its rest_api source, page by page, and loads it into files on
# the disk: the destination that costs least. Says how many records and how many seconds of
# a clock, from the run's start to its end.
import json
import os
import sys
import time

import dlt
from dlt.sources.rest_api import rest_api_source

url, total, page, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
source = rest_api_source({
    "client": {
        "base_url": url,
        "paginator": {"type": "offset", "limit": page, "total_path": "total"},
    },
    "resources": [{
        "name": "permit",
        "primary_key": "id",
        "endpoint": {"path": f"records/{total}", "data_selector": "items"},
    }],
})
pipeline = dlt.pipeline(
    pipeline_name="bench",
    pipelines_dir=os.path.join(folder, "pipelines"),
    destination=dlt.destinations.filesystem(bucket_url="file://" + os.path.join(folder, "loaded")),
    dataset_name="bench",
)
began = time.monotonic()
pipeline.extract(source)
extracted = time.monotonic()
pipeline.normalize()
pipeline.load()
ended = time.monotonic()
rows = pipeline.last_trace.last_normalize_info.row_counts["permit"]
print(json.dumps({"records": rows, "seconds": ended - began, "extract": extracted - began}))
