"""The columns of the Parquet files (docs/FORMATS.md), for the tests and the bench. Imports nothing: each has another environment."""

from __future__ import annotations

TEXTS = (
    "id",
    "tenantId",
    "action",
    "actionStatus",
    "actionStatusReason",
    "actorIp",
    "targetType",
    "requestId",
    "sessionId",
)
TIMES = ("eventTimestamp", "receivedTimestamp")
LISTS = ("targets", "relatedResources")
ACTOR = ("id", "name", "type", "identityProvider", "profileId", "issuer")
ELEMENT = ("id", "name", "type")
