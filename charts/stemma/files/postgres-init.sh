# Make the cluster, once; then roles and databases, whose passwords are set again at every start.
bin=/opt/stemma/postgres/bin
if [ ! -f /data/pg/PG_VERSION ] || [ -f /data/initialising ]; then
  touch /data/initialising
  rm -rf /data/pg
  printf %s "$POSTGRES_PASSWORD" >/tmp/password
  $bin/initdb -D /data/pg --no-instructions --auth=scram-sha-256 --pwfile=/tmp/password --username=postgres \
    --encoding=UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C
  rm /tmp/password
  echo "host all all all scram-sha-256" >>/data/pg/pg_hba.conf
  rm /data/initialising
fi
rm -f /data/pg/postmaster.pid
ask() { printf '%s\n' "$1" | $bin/postgres --single -D /data/pg -c log_min_messages=error postgres; }
for role in "stemma $PORTAL_PASSWORD" "mlflow $MLFLOW_PASSWORD"; do
  name=${role%% *} password=${role#* }
  ask "SELECT 'there' FROM pg_roles WHERE rolname='$name'" | grep -q there || ask "CREATE ROLE $name LOGIN" >/dev/null
  ask "ALTER ROLE $name PASSWORD '$password'" >/dev/null
  ask "SELECT 'there' FROM pg_database WHERE datname='$name'" | grep -q there || ask "CREATE DATABASE $name OWNER $name" >/dev/null
done
