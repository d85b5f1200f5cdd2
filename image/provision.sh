#!/usr/bin/env bash
# Makes a Debian machine into a worker: what fireworker.pkr.hcl runs, as root, on the VM that becomes the image. Any other Debian
# machine does as well, amd64 or arm64. Run again it changes what is different, and nothing else.
#
#     RELEASE=borealis-0.1.0-linux-x64.tar.gz bash image/provision.sh
#
# From the environment:
#   RELEASE        the archive of the binaries (npm run release)
#   DOCKER_IMAGES  Docker images to pull, with spaces between them
#   SWAP_MB        size of a swap file in MiB; 0 or nothing: none
#   OPS_AGENT      true: installs Google's Ops Agent
set -euo pipefail

# Sets user_home. Tasks may write what they like, as this user: it is root's equal only by way of Docker.
make_user() {
  user_home=/home/fireworker
  id fireworker >/dev/null 2>&1 || useradd --create-home --home-dir "$user_home" --shell /bin/bash fireworker
  usermod --append --groups docker fireworker
  # For the setting logdir=/var/log/fireworker.
  install -d -o fireworker -g fireworker /var/log/fireworker
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  # A fresh VM upgrades itself just now.
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300)
  local packages=(ca-certificates chrony curl docker.io logrotate python3)
  "${apt[@]}" update
  # From Debian 13 on the `docker` command is a package of its own.
  if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
  "${apt[@]}" install --no-install-recommends "${packages[@]}"
}

# A VM lives for hours: an upgrade would take its processor from the task, and restart Docker under it.
turn_upgrades_off() {
  write /etc/apt/apt.conf.d/99fireworker 'APT::Periodic::Enable "0";'
  systemctl mask apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service
}

keep_time() {
  write /etc/chrony/sources.d/google.sources 'server metadata.google.internal prefer iburst'
  systemctl enable chrony.service
}

# What containers print, the journal and logdir's files stay small. The driver `local` rotates: 5 files of 20 MB a container.
rotate_logs() {
  write /etc/docker/daemon.json '{ "log-driver": "local" }'
  write /etc/systemd/journald.conf.d/fireworker.conf '[Journal]' 'SystemMaxUse=1G'
  write /etc/logrotate.d/fireworker \
    '/var/log/fireworker/*.log {' \
    '  su fireworker fireworker' \
    '  size 100M' \
    '  rotate 4' \
    '  compress' \
    '  missingok' \
    '  notifempty' \
    '  # The worker makes a new one for its next line.' \
    '  nocreate' \
    '}'
  systemctl enable logrotate.timer docker.service
  if is_booted; then systemctl restart systemd-journald.service docker.service; fi
}

make_swap() {
  local megabytes=${SWAP_MB:-0} file=/swapfile
  if ((megabytes == 0)); then
    if is_booted; then swapoff "$file" 2>/dev/null || true; fi
    rm -f "$file"
    sed -i '\#^/swapfile #d' /etc/fstab
    return
  fi
  if [[ $(stat -c %s "$file" 2>/dev/null) != $((megabytes * 1024 * 1024)) ]]; then
    rm -f "$file"
    fallocate -l "${megabytes}M" "$file"
    chmod 600 "$file"
    mkswap "$file"
  fi
  grep -q '^/swapfile ' /etc/fstab || echo '/swapfile none swap sw 0 0' >>/etc/fstab
}

# https://cloud.google.com/stackdriver/docs/solutions/agents/ops-agent/install-index
install_ops_agent() {
  local folder
  folder=$(mktemp -d)
  curl -fsS -o "$folder/add.sh" https://dl.google.com/cloudagents/add-google-cloud-ops-agent-repo.sh
  bash "$folder/add.sh" --also-install
  rm -r "$folder"
}

# The unit and the LaunchPad file are those that this fireworker knows. A LaunchPad file that is there is somebody's own.
install_borealis() {
  local folder setup
  folder=$(mktemp -d)
  tar -x --no-same-owner --strip-components=1 -C "$folder" -f "$RELEASE"
  "$folder/fireworker" --version || stop "$RELEASE is not for this machine, which is $(uname -m)"
  install -m 755 "$folder/fireworker" "$folder/borealisctl" /usr/local/bin
  ln -sf borealisctl /usr/local/bin/lpad
  ln -sf borealisctl /usr/local/bin/gce
  setup=$(TMPDIR=$folder fireworker --setup)
  install -m 644 "$setup/fireworker.service" /etc/systemd/system/fireworker.service
  if [[ ! -e $user_home/my_launchpad.yaml ]]; then
    install -m 600 -o fireworker -g fireworker "$setup/my_launchpad.yaml" "$user_home"
  fi
  rm -r "$folder"
  # Not started: this VM is no worker.
  systemctl enable fireworker.service
}

# Private images of Artifact Registry come with the rights of the VM's service account, which are not kept.
pull_images() {
  local image host token
  DOCKER_CONFIG=$(mktemp -d)
  export DOCKER_CONFIG
  for image in "$@"; do
    host=${image%%/*}
    if [[ $host == *.pkg.dev || $host == gcr.io || $host == *.gcr.io ]]; then
      token=$(curl -fsS -H 'Metadata-Flavor: Google' \
        http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token |
        sed 's/.*"access_token" *: *"\([^"]*\)".*/\1/')
      docker login --username oauth2accesstoken --password-stdin "https://$host" <<<"$token"
    fi
    docker pull --quiet "$image"
  done
  rm -r "$DOCKER_CONFIG"
}

# What belongs to this VM alone, or is needed no more, does not go into the image.
clean_up() {
  apt-get clean
  rm -rf /var/lib/apt/lists/* "$RELEASE"
  if is_booted; then journalctl --quiet --rotate --vacuum-time=1s; fi
  # Each VM makes its own at its first boot.
  rm -f /etc/ssh/ssh_host_*
  : >/etc/machine-id
}

# write FILE LINE...: leaves a file alone that holds these lines already.
write() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  printf '%s\n' "$@" | cmp -s - "$file" || printf '%s\n' "$@" >"$file"
}

# False in a container, and where an image is made in a folder.
is_booted() { [[ -d /run/systemd/system ]]; }

stop() {
  echo "error: $1" >&2
  exit 1
}

[[ $(id -u) == 0 ]] || stop 'provision.sh must run as root'
[[ -f ${RELEASE:-} ]] || stop 'RELEASE must name the archive of the binaries (npm run release makes it)'
[[ ${SWAP_MB:-0} =~ ^[0-9]+$ ]] || stop "SWAP_MB=$SWAP_MB: must be a number of MiB"
read -r -a docker_images <<<"${DOCKER_IMAGES:-}"

turn_upgrades_off
install_packages
make_user
keep_time
rotate_logs
make_swap
if [[ ${OPS_AGENT:-false} == true ]]; then install_ops_agent; fi
install_borealis
pull_images "${docker_images[@]}"
clean_up
