"""Who can sign with the treasury's key, who can change that, and by which statements of which documents.

`gather` asks AWS and returns a `snapshot`; all that follows is pure: `review` turns it into findings, `report`
into tables and pages, `diff` compares two. `policies.allows` answers one question about one principal.
"""
