"""Waits for MLflow's database and brings forward one of an older version; run by the chart."""

import os
import time

import sqlalchemy
from mlflow.store.db.utils import _upgrade_db

url = os.environ["MLFLOW_BACKEND_STORE_URI"]
engine = sqlalchemy.create_engine(url)
for _ in range(300):
    try:
        tables = sqlalchemy.inspect(engine).get_table_names()
        break
    except sqlalchemy.exc.OperationalError as error:
        print("Waiting for the database:", str(error).splitlines()[0], flush=True)
        time.sleep(2)
# An empty database is set up by the server itself; one of an older version is brought forward here.
if "alembic_version" in tables:
    _upgrade_db(engine)
print("The database is ready.")
