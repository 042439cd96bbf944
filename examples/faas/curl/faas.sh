#!/bin/sh
# Functions as a service by curl and the proxy: faas.sh deploy NAME IMAGE [MACHINES] | call NAME JSON | remove NAME
set -eu
api=${WINDHOVER_REST:-http://127.0.0.1:7080}/v1 proxy=${WINDHOVER_PROXY:-http://127.0.0.1:8080} command=$1 name=$2
ask() { curl -sS --fail-with-body -w "\n" -H "authorization: Bearer $WINDHOVER_TOKEN" -H 'content-type: application/json' "$@"; }
case $command in
deploy)
  # Stopped until the proxy has a request for it, one request at a time, stopped again when it is idle.
  service='"protocol": "tcp", "internal_port": 8080, "ports": [{"port": 80, "handlers": ["http"]}],
    "autostart": true, "autostop": "stop", "idle_timeout": "20s",
    "concurrency": {"type": "requests", "soft_limit": 1, "hard_limit": 1},
    "checks": [{"type": "http", "path": "/ready", "interval": "1s", "timeout": "1s"}]'
  ask "$api/apps" -d "{\"app_name\": \"$name\", \"org_slug\": \"personal\"}"
  for _ in $(seq "${4:-2}"); do
    ask "$api/apps/$name/machines" -d "{\"skip_launch\": true, \"config\": {\"image\": \"$3\", \"services\": [{$service}]}}"
  done ;;
call) curl -sS --fail-with-body -H "host: $name.localhost" -H 'content-type: application/json' "$proxy/run" -d "$3" ;;
remove) ask -X DELETE "$api/apps/$name?force=true" ;;
*) echo "faas.sh: no command $command: deploy, call, remove" >&2; exit 2 ;;
esac
