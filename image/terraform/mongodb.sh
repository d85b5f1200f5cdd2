#!/usr/bin/env bash
# Runs at each boot of the MongoDB VM: installs MongoDB, its data on the disk `mongodb`; makes the user `borealis` once, and
# puts its password into the secret that the VM's metadata names. What is done already is left alone.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

metadata() {
  curl -fsS -H 'Metadata-Flavor: Google' "http://metadata.google.internal/computeMetadata/v1/instance/$1"
}

data=/var/lib/mongodb
disk=/dev/disk/by-id/google-mongodb
password_file=$data/password-not-yet-stored
done_file=$data/password-stored

if ! command -v mkfs.xfs >/dev/null; then
  apt-get -q update
  apt-get -q -y install xfsprogs
fi
blkid "$disk" >/dev/null || mkfs.xfs "$disk"
mkdir -p "$data"
grep -q " $data " /etc/fstab || echo "$disk $data xfs defaults,nofail 0 2" >>/etc/fstab
mountpoint -q "$data" || mount "$data"

if ! command -v mongod >/dev/null; then
  # https://www.mongodb.com/docs/v8.0/tutorial/install-mongodb-on-debian/
  key=/usr/share/keyrings/mongodb-server-8.0.asc
  curl -fsS -o "$key" https://www.mongodb.org/static/pgp/server-8.0.asc
  echo "deb [signed-by=$key] http://repo.mongodb.org/apt/debian bookworm/mongodb-org/8.0 main" \
    >/etc/apt/sources.list.d/mongodb-org-8.0.list
  apt-get -q update
  apt-get -q -y install mongodb-org
fi
chown mongodb:mongodb "$data"
cat >/etc/mongod.conf <<CONF
storage: { dbPath: $data }
systemLog: { destination: file, path: /var/log/mongodb/mongod.log, logAppend: true, logRotate: reopen }
net: { port: 27017, bindIp: 0.0.0.0 }
security: { authorization: enabled }
CONF
systemctl enable mongod
systemctl restart mongod
until mongosh --quiet --eval 'db.hello().ok' >/dev/null; do sleep 1; done

[[ -e $done_file ]] && exit
# A crash here or later leaves the file: the same password is tried again at the next boot.
[[ -s $password_file ]] || (umask 077 && openssl rand -hex 24 >"$password_file")
password=$(<"$password_file")
token=$(metadata service-accounts/default/token | sed 's/.*"access_token" *: *"\([^"]*\)".*/\1/')
curl -fsS -o /dev/null -X POST -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d "{\"payload\":{\"data\":\"$(printf %s "$password" | base64 -w0)\"}}" \
  "https://secretmanager.googleapis.com/v1/$(metadata attributes/secret):addVersion"
# Without any user MongoDB lets who is on its machine make the first one.
PASSWORD=$password mongosh --quiet admin --eval '
  try {
    const roles = ["readWriteAnyDatabase", "dbAdminAnyDatabase"];
    db.createUser({ user: "borealis", pwd: process.env.PASSWORD, roles });
  } catch (e) {
    if (e.codeName !== "Location51003" && e.codeName !== "Unauthorized") throw e;
  }'
touch "$done_file"
rm "$password_file"
