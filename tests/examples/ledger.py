"""A third-party application for tests: `def` endpoints of a router, and an engine that is made in its lifespan.

    uvicorn tests.examples.ledger:create_app --factory

It has one bug: the interest of an account over 0 days.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from observability import instrument


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    number: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


def session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as session:
        yield session


def account(number: int, session: Annotated[Session, Depends(session)]) -> Account:
    found = session.get(Account, number)
    if found is None:
        raise HTTPException(404, "no such account")
    return found


router = APIRouter(prefix="/v2/accounts")


@router.get("")
def accounts(session: Annotated[Session, Depends(session)]) -> list[int]:
    return list(session.scalars(select(Account.number)))


@router.get("/{number}")
def balance(account: Annotated[Account, Depends(account)]) -> dict[str, int]:
    return {"cents": account.cents}


@router.get("/{number}/interest")
def interest(account: Annotated[Account, Depends(account)], days: int) -> dict[str, float]:
    return {"cents_per_day": account.cents / days}


@router.post("/{number}/bookings", status_code=201)
def book(
    account: Annotated[Account, Depends(account)], session: Annotated[Session, Depends(session)], cents: int
) -> dict[str, int]:
    account.cents += cents
    session.commit()
    return {"cents": account.cents}


def create_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_engine("sqlite:///ledger.db", pool_timeout=4)
        telemetry.watch_engine(engine, "books")
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all(Account(number=number, cents=100 * number) for number in range(1, 11))
            session.commit()
        app.state.engine = engine
        yield
        engine.dispose()

    app = FastAPI(title="ledger", lifespan=lifespan)
    app.include_router(router)
    telemetry = instrument(app)
    return app
