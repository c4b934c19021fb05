# Shared by the scripts beside it. Jars, data, logs and pids lie in $KAFKA_STATE (.state/ here by default); deleting it
# while nothing runs is safe.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
S=${KAFKA_STATE:-$HERE/.state}
PORT=${KAFKA_PORT:-19092} # node n: clients on PORT + 10 (n - 1), controllers on the port after it
mkdir -p "$S"

# Apache Kafka's jars by Maven; Java 17 and Maven from Debian where they are missing.
jars() {
  if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
      openjdk-17-jre-headless maven >/dev/null
  fi
  [ -f "$S/jars/.complete" ] && return 0
  for try in 1 2 3; do
    mvn -q -B -f "$HERE/pom.xml" dependency:copy-dependencies -DoutputDirectory="$S/jars" -DincludeScope=runtime >&2 &&
      touch "$S/jars/.complete" && return 0
    sleep 5
  done
  echo "Apache Kafka's jars could not be had" >&2
  return 1
}
kafka() { # CLASS ARGS...: one of Kafka's programs
  java -Xmx256m -XX:+UseSerialGC -Dlog4j2.configurationFile="$HERE/log4j2.yaml" -cp "$S/jars/*" "$@"
}
# A pid may have been given to someone else since: ours has its properties file on its command line.
alive() {
  [ -f "$S/node$1/pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$S/node$1/pid")/cmdline" | grep -qF "$S/node$1/server.properties"
}
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
client() { echo $((PORT + 10 * ($1 - 1))); }
