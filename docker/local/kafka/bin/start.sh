#!/bin/sh
# Settings from the environment, as apache/kafka reads them: KAFKA_NODE_ID is node.id.
set -eu
file=/tmp/server.properties
env | sed -n 's/^KAFKA_\([A-Z0-9_]*\)=\(.*\)$/\1 \2/p' | while read -r name value; do
    case $name in HEAP_OPTS) continue ;; esac
    printf '%s=%s\n' "$(echo "$name" | tr 'A-Z_' 'a-z.')" "$value"
done >"$file"
echo "log.dirs=/var/lib/kafka/data" >>"$file"
run() { java ${KAFKA_HEAP_OPTS:--Xmx512m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' "$@"; }
[ -f /var/lib/kafka/data/meta.properties ] || run kafka.tools.StorageTool format -t "$CLUSTER_ID" -c "$file"
exec java ${KAFKA_HEAP_OPTS:--Xmx512m} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' kafka.Kafka "$file"
