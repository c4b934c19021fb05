#!/usr/bin/env bash
# Apache Kafka in KRaft mode on loopback.
#   start.sh          one node; prints its bootstrap address
#   start.sh 3        three nodes: replication 3, min.insync.replicas 2; prints the three addresses
#   start.sh node 2   node 2 of a cluster that was started before, again
# Data stays across a stop and a start; stop.sh --wipe deletes it.
. "$(dirname "$0")/lib.sh"
jars

boot() { # NODE
  local dir=$S/node$1
  alive "$1" && return 0
  # shellcheck disable=SC2086
  setsid java ${KAFKA_HEAP:--Xms384m -Xmx384m} -XX:+UseG1GC -Dlog4j2.configurationFile="$HERE/log4j2.yaml" \
    -cp "$S/jars/*" kafka.Kafka "$dir/server.properties" >>"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
}

properties() { # NODE COUNT VOTERS DIR
  cat <<P
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$3
listeners=PLAINTEXT://127.0.0.1:$(client "$1"),CONTROLLER://127.0.0.1:$(($(client "$1") + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$(client "$1")
controller.listener.names=CONTROLLER
log.dirs=$4/data
default.replication.factor=$2
min.insync.replicas=$(($2 > 1 ? 2 : 1))
offsets.topic.replication.factor=$2
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$2
transaction.state.log.min.isr=$(($2 > 1 ? 2 : 1))
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$2
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
P
}

if [ "${1:-}" = node ]; then
  nodes=$2
else
  count=${1:-1} nodes=$(seq "${1:-1}") voters=
  for n in $nodes; do voters+=${voters:+,}$n@127.0.0.1:$(($(client "$n") + 1)); done
  for n in $nodes; do
    dir=$S/node$n
    [ -f "$dir/server.properties" ] && continue
    [ -f "$S/cluster" ] || kafka kafka.tools.StorageTool random-uuid >"$S/cluster"
    mkdir -p "$dir"
    properties "$n" "$count" "$voters" "$dir" >"$dir/properties"
    kafka kafka.tools.StorageTool format -t "$(cat "$S/cluster")" -c "$dir/properties" >>"$dir/log" 2>&1
    mv "$dir/properties" "$dir/server.properties"
  done
fi
for n in $nodes; do boot "$n"; done
for n in $nodes; do
  for _ in $(seq 240); do
    listening "$(client "$n")" && break
    kill -0 "$(cat "$S/node$n/pid")" 2>/dev/null ||
      { echo "node $n did not start:" >&2; tail -20 "$S/node$n/log" >&2; exit 1; }
    sleep .25
  done
  listening "$(client "$n")" || { echo "node $n does not answer" >&2; exit 1; }
  address=${address:+$address,}127.0.0.1:$(client "$n")
done
echo "$address"
