"""The inbox: every event of a payment provider that was believed, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base


class BillingEvent(Base):
    """An event; the provider may send it any number of times."""

    __tablename__ = "billing_events"
    __table_args__ = (
        Index("ix_billing_events_customer", "customer", "happened_at"),
        Index("ix_billing_events_age", "received_at"),
    )

    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    customer: Mapped[str | None] = mapped_column(Text(collation="C"))
    happened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("clock_timestamp()"))
    said: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What it says is so, of a provider that can't be asked; nothing of one that can."""
