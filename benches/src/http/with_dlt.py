# dlt reads a collection with its rest_api source, page by page, and loads it as it is told:
# `files`, which costs least, records one behind the other; `duckdb`, merged by their key into
# a database file, so that each record is there once; `defaults`, the same without the setting
# that makes it faster. Says how many records and how many seconds of a clock, from the run's
# start to its end, and of `duckdb` the same of a second run, in which nothing has changed.
import json
import os
import sys
import time

import dlt
from dlt.sources.rest_api import rest_api_source

url, total, page, folder, into = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
permit = {
    "name": "permit",
    "primary_key": "id",
    "endpoint": {"path": f"records/{total}", "data_selector": "items"},
}
if into == "files":
    destination = dlt.destinations.filesystem(bucket_url="file://" + os.path.join(folder, into))
else:
    permit["write_disposition"] = "merge"
    destination = dlt.destinations.duckdb(os.path.join(folder, into + ".duckdb"))
# By default it loads into this database by statements that insert; by such files it is faster.
file_format = "parquet" if into == "duckdb" else None


def run():
    source = rest_api_source({
        "client": {
            "base_url": url,
            "paginator": {"type": "offset", "limit": page, "total_path": "total"},
        },
        "resources": [permit],
    })
    began = time.monotonic()
    pipeline.extract(source, loader_file_format=file_format)
    extracted = time.monotonic()
    pipeline.normalize()
    pipeline.load()
    ended = time.monotonic()
    rows = pipeline.last_trace.last_normalize_info.row_counts["permit"]
    return {"records": rows, "seconds": ended - began, "extract": extracted - began}


pipeline = dlt.pipeline(
    pipeline_name=into,
    pipelines_dir=os.path.join(folder, "pipelines"),
    destination=destination,
    dataset_name="bench",
)
told = run()
if into == "duckdb":
    told["again"] = run()["seconds"]
if into != "files":
    with pipeline.sql_client() as client:
        told["records"] = client.execute_sql("SELECT count(DISTINCT id) FROM permit")[0][0]
        told["rows"] = client.execute_sql("SELECT count(*) FROM permit")[0][0]
print(json.dumps(told))
