"""The SCIM protocol (RFC 7643, RFC 7644), pure: text and dictionaries into values and back."""
