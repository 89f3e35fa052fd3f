#!/bin/sh
# Removes the agent from a Mac, as root: sudo ./uninstall.sh [--purge]
# Without --purge its settings and identity stay, so that a later install is the
# same asset.
set -eu

label=rollcall-agent
root=${ROOT:-}
[ -n "$root" ] || [ "$(id -u)" = 0 ] || {
  echo "uninstall.sh: administrator rights are needed: sudo $0" >&2
  exit 1
}
[ -n "$root" ] || launchctl bootout "system/$label" 2>/dev/null || true # it may not run
rm -f "$root/Library/LaunchDaemons/$label.plist" "$root/Library/Rollcall/rollcall-agent" "$root/Library/Rollcall/uninstall.sh"
rmdir "$root/Library/Rollcall" 2>/dev/null || true
if [ "${1:-}" = --purge ]; then
  rm -rf "$root/Library/Application Support/Rollcall" "$root/Library/Logs/$label.log" "$root/Library/Logs/$label.log."[0-9]* "$root/Library/Logs/$label.crash.log"
fi
