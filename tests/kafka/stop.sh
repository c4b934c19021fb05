#!/usr/bin/env bash
# stop.sh [node N] [--kill] [--wipe]: stops every node, or one. --kill sends SIGKILL; --wipe deletes the data (the jars
# stay).
. "$(dirname "$0")/lib.sh"
signal=TERM only= wipe=
while [ $# -gt 0 ]; do
  case $1 in
    node) only=$2; shift ;;
    --kill) signal=KILL ;;
    --wipe) wipe=1 ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
  shift
done
for dir in "$S"/node*; do
  n=${dir##*node}
  [ -z "$only" ] || [ "$n" = "$only" ] || continue
  if alive "$n"; then
    pid=$(cat "$dir/pid")
    kill -"$signal" "$pid"
    for _ in $(seq 120); do alive "$n" || break; sleep .25; done
    alive "$n" && kill -KILL "$pid"
  fi
  rm -f "$dir/pid"
done
[ -z "$wipe" ] || rm -rf "$S"/node* "$S/cluster"
