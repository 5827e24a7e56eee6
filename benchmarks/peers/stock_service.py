"""A stock Nameko service: echo, and users in PostgreSQL by nameko-sqlalchemy's `DatabaseSession`."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from nameko.rpc import rpc
from nameko_sqlalchemy import DatabaseSession
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = sa.Column(sa.String(36), primary_key=True, default=lambda: str(uuid.uuid4()))
    email = sa.Column(sa.Text, unique=True)
    name = sa.Column(sa.Text)


class StockService:
    name = "stock_svc"
    db = DatabaseSession(Base)

    @rpc
    def echo(self, value=None):
        return value

    @rpc
    def create_user(self, email, name):
        user = User(email=email, name=name)
        self.db.add(user)
        self.db.commit()
        return {"id": user.id, "email": user.email, "name": user.name}

    @rpc
    def get_user(self, user_id):
        user = self.db.get(User, user_id)
        return {"id": user.id, "email": user.email, "name": user.name}
