#!/bin/sh
# Installs or upgrades the agent on a Mac, as root:
#
#   sudo ./install.sh [--collector HOST:8471] [--ca-file FILE] [--token-file FILE]
#
# ROOT=DIR installs below DIR and starts nothing, to make an image.
set -eu
cd "$(dirname "$0")"

label=rollcall-agent
root=${ROOT:-}
# Only root may write here, which does not hold for /usr/local where Homebrew is.
program=$root/Library/Rollcall
data="$root/Library/Application Support/Rollcall"
plist=$root/Library/LaunchDaemons/$label.plist

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

collector='' ca='' token=''
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail "$1 needs a value"
  case $1 in
    --collector) collector=$2 ;;
    --ca-file) ca=$2 ;;
    --token-file) token=$2 ;;
    *) fail "$1 is not known: want --collector, --ca-file or --token-file" ;;
  esac
  shift 2
done
# What comes into the YAML file.
case $collector in
  *[!A-Za-z0-9.:_[\]-]*) fail "collector $collector: want HOST:8471" ;;
esac
for file in "$ca" "$token"; do
  [ -z "$file" ] || [ -r "$file" ] || fail "$file cannot be read"
done
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "administrator rights are needed: sudo $0"

# install -d sets the mode of its last folder only.
for dir in "$root/Library" "$root/Library/Application Support" "$root/Library/LaunchDaemons" "$root/Library/Logs"; do
  [ -d "$dir" ] || mkdir -m 0755 -p "$dir"
done
install -d -m 0755 "$program" "$data"
install -d -m 0700 "$data/agent"
[ -n "$root" ] || launchctl bootout "system/$label" 2>/dev/null || true # it may not run
# A new file, as macOS kills a signed program that is written over.
rm -f "$program/rollcall-agent"
install -m 0755 rollcall-agent "$program/rollcall-agent"
install -m 0755 uninstall.sh "$program/uninstall.sh"
install -m 0644 rollcall-agent.plist "$plist"

[ -z "$ca" ] || install -m 0644 "$ca" "$data/ca.pem"
[ -z "$token" ] || install -m 0600 "$token" "$data/token"
config=$data/agent.yaml
if [ ! -e "$config" ] || [ -n "$collector" ]; then
  new=$config.new
  (umask 077 && cp agent.yaml "$new")
  inside=${data#"$root"}
  [ -z "$collector" ] || echo "collector: \"$collector\"" >>"$new"
  [ ! -e "$data/ca.pem" ] || echo "ca_file: $inside/ca.pem" >>"$new"
  [ ! -e "$data/token" ] || echo "token_file: $inside/token" >>"$new"
  mv "$new" "$config"
fi
if [ -n "$root" ]; then
  exit 0
fi

chown root:wheel "$plist" "$program" "$program/rollcall-agent" "$program/uninstall.sh" "$data" "$config"
"$program/rollcall-agent" config check >/dev/null || fail "correct $config and run this again"
if grep -q '^collector:' "$config"; then
  launchctl enable "system/$label"
  launchctl bootstrap system "$plist"
  echo "The agent runs: sudo $program/rollcall-agent status"
else
  echo "Name the collector in $config, then run this again."
fi
