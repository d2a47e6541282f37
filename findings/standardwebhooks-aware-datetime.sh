#!/bin/sh
# standardwebhooks 1.1.0 (Python) signs another time than it is given: `sign` drops the offset of an aware datetime and takes its wall
# clock as UTC. A signature made at 12:00+02:00 is that of 12:00Z, two hours later, so the receiver that gets the true time in
# webhook-timestamp refuses it. A datetime in UTC is signed correctly, and `verify` is not affected: it reads the header.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install standardwebhooks==1.1.0
venv/bin/python - <<'PYTHON'
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
now = datetime.now(timezone.utc).replace(microsecond=0)
body = '{"test": 2432232314}'


def outcome(time):
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(time.timestamp())),
        "webhook-signature": webhook.sign("msg_1", time, body),
    }
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError as error:
        return f"refused: {error}"
    return "verified"


outcomes = {}
for hours in (0, 2, -5):
    time = now.astimezone(timezone(timedelta(hours=hours)))
    outcomes[hours] = outcome(time)
    print(time.isoformat(), outcomes[hours])
assert now.astimezone(timezone(timedelta(hours=2))) == now, "the same time"
assert outcomes == {0: "verified", 2: "refused: No matching signature found", -5: "refused: No matching signature found"}
PYTHON
