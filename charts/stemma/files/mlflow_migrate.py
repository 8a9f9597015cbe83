"""Waits for MLflow's database, brings forward one of an older version, and says who may sign in; run by the chart."""

import configparser
import os
import time
from pathlib import Path

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

# Accounts lie in the same database; nobody sees anything who was not given it.
config = configparser.ConfigParser(interpolation=None)
config["mlflow"] = {"default_permission": "NO_PERMISSIONS", "database_uri": url}
with Path(os.environ["MLFLOW_AUTH_CONFIG_PATH"]).open("w") as file:
    config.write(file)
Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(exist_ok=True)
