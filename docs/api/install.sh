#!/bin/sh
# Installs KeyScaler over HTTP: plans what an answers file would make, shows it, and applies exactly that.
#
#   keyscaler token create --scope setup --expires 1h > token     (on the host of the wizard; chmod 600)
#   WIZARD=https://keyscaler.example:8443 ./install.sh token answers.json
#
# answers.json is the answers file as JSON, with the values themselves in it: {"steps": {"welcome": {"acceptTerms": true}, …}}.
# Token and answers go through files and standard input: never in argv, never in the environment. With a certificate that
# your system does not know: CA=wizard.pem.
set -eu
umask 077
WIZARD=${WIZARD:-http://127.0.0.1:8080}
[ $# -eq 2 ] || { echo "usage: WIZARD=<url> $0 <token file> <answers file>" >&2; exit 2; }
token=$1 answers=$2
# Before anything is sent: curl takes a file that is not there for an empty one.
for file in "$token" "$answers"; do
  [ -f "$file" ] && [ -r "$file" ] && [ -s "$file" ] || { echo "$file is empty, or cannot be read" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The trap of EXIT alone cleans up; without an exit of their own the script would go on after these.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

cat > "$work/curl.conf" <<END
silent
show-error
header = "Authorization: Bearer $(tr -d '\n' < "$token")"
header = "Accept: application/json"
header = "Content-Type: application/json"
header = "Prefer: wait=240"
${CA:+cacert = "$CA"}
END

# post <path> <body file> <answer file>. A lost connection is no reason to ask what has happened: sent again with the same
# key, it is done once and answered as often as it is asked.
post() {
  key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  for _ in 1 2 3 4 5; do
    code=0
    curl -K "$work/curl.conf" --fail-with-body --header "Idempotency-Key: $key" --data "@$2" -D "$work/head" -o "$3" "$WIZARD$1" || code=$?
    case $code in
      0) follow "$3"; return ;;
      22) cat "$3" >&2; return 1 ;; # An answer, and it is no: the problem says why and what to do.
    esac
    sleep 1
  done
  return 1
}

# follow <answer file>. 202: it takes longer than an answer is waited for, and is a job; it is asked for until it has ended. Each
# answer comes when it has, or after 240 s (Prefer); the second in between is for a wizard that is being started again.
follow() {
  grep -q '^HTTP[^ ]* 202' "$work/head" || return 0
  job=$(sed -n 's/^[Ll]ocation: *\([^ ]*\).$/\1/p' "$work/head")
  tries=0
  until curl -K "$work/curl.conf" --fail-with-body -o "$1" "$WIZARD$job" && ! grep -q '"endedAt":null' "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "$job has not ended; it goes on, and $WIZARD$job tells how far it is" >&2; return 1; }
    sleep 1
  done
  grep -q '"problem":null' "$1" || { cat "$1" >&2; return 1; }
}

post /setup/plan "$answers" "$work/plan.json"
hash=$(sed 's/.*"hash":"\([0-9a-f]\{64\}\)".*/\1/' "$work/plan.json")
cat "$work/plan.json" >&2

# The same answers, and the plan that was looked at: 409 when the world has moved in between.
# On one line, for its first bracket may stand on any; and {} is an order too, that of the answers that are kept.
tr '\r\n\t' '   ' < "$answers" | sed "s/{/{\"plan\": \"$hash\", /; s/, *} *\$/}/" > "$work/order.json"
post /setup/apply "$work/order.json" "$work/applied.json"

# How it went, or the job where it took long. Holds what is shown once (the participant's secret): take it to where secrets are kept.
cat "$work/applied.json"
