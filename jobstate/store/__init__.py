"""Postgres: the statements, and the two ways to run them. Nothing above imports a driver."""

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from jobstate.store.aio import AsyncStore
from jobstate.store.async_callers import after_async_commit, async_driver_connection
from jobstate.store.callers import after_commit, driver_connection
from jobstate.store.engines import url_of
from jobstate.store.joined import DriverConnection, JoinedTransaction
from jobstate.store.queries import Operation, Row, Script
from jobstate.store.sync import Store, Transaction

__all__ = [
    "AsyncEngine",
    "AsyncStore",
    "DriverConnection",
    "Engine",
    "JoinedTransaction",
    "Operation",
    "Row",
    "Script",
    "Store",
    "Transaction",
    "after_async_commit",
    "after_commit",
    "async_driver_connection",
    "driver_connection",
    "url_of",
]
