"""HTTP for programs: SCIM for identity providers, /v1 for management, /oauth for the product."""

VERSION = "1"
