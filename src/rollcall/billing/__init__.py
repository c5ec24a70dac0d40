"""The payment provider's voice: what it sends is a hint to ask, and what it answers is brought to tenants."""
