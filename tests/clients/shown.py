"""What SPEC §2 says that an error is, in the fields that PostgREST's clients show."""

from __future__ import annotations

NOT_AUTHENTICATED = {
    "code": "PGRST301",
    "message": "Not authenticated: sign in and send Authorization: Bearer <token>",
    "details": None,
    "hint": None,
}
FORBIDDEN = {
    "code": "42501",
    "message": "Forbidden: the caller has no sufficient access to this brand",
    "details": None,
    "hint": None,
}
UNAVAILABLE = {
    "code": "PGRST002",
    "message": "Unavailable: the database is away for a moment, try again",
    "details": None,
    "hint": None,
}
TOO_MANY_CALLS = "54001"
OBJECT_MISSING = (404, "404", "Object not found")
"""Status, statusCode and message of a storage error."""
