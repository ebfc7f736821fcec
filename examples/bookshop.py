"""A small service that uses nothing of Flightdeck but `instrument()`.

    uvicorn examples.bookshop:create_app --factory --port 8080
    curl localhost:8080/authors
    curl localhost:9464/metrics

Typical for many services: synchronous SQLAlchemy, and `def` endpoints, which run in threads. `/authors` loads a
relationship lazily, with one query per author; `/authors?eager=true` loads it eagerly.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from sqlalchemy import Engine, ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

from observability import instrument


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    copies: Mapped[int] = mapped_column(default=3)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


def session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as session:
        yield session


def create_app(database_url: str = "sqlite:///bookshop.db") -> FastAPI:
    engine = create_engine(database_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine = engine
        _create_books(engine)
        yield
        engine.dispose()

    app = FastAPI(title="bookshop", lifespan=lifespan)
    app.add_api_route("/authors", authors, methods=["GET"])
    app.add_api_route("/books/{number}", book, methods=["GET"])
    app.add_api_route("/books/{number}/orders", order, methods=["POST"], status_code=201)
    instrument(app, engines={"primary": engine})
    return app


def authors(
    session: Annotated[Session, Depends(session)], eager: Annotated[bool, Query()] = False
) -> dict[str, list[str]]:
    query = select(Author).options(selectinload(Author.books)) if eager else select(Author)
    return {author.name: [book.title for book in author.books] for author in session.scalars(query)}


def book(number: int, session: Annotated[Session, Depends(session)]) -> dict[str, str | int]:
    found = session.get(Book, number)
    if found is None:
        raise HTTPException(404, "no such book")
    return {"title": found.title, "copies": found.copies}


def order(number: int, session: Annotated[Session, Depends(session)]) -> dict[str, int]:
    found = session.get(Book, number, with_for_update=True)
    if found is None:
        raise HTTPException(404, "no such book")
    if found.copies == 0:
        raise HTTPException(409, "sold out")
    found.copies -= 1
    session.commit()
    return {"copies": found.copies}


def _create_books(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        if session.scalar(select(Author.id).limit(1)) is None:
            for number in range(1, 26):
                books = [Book(title=f"Volume {volume} of author {number}") for volume in range(1, 4)]
                session.add(Author(name=f"Author {number}", books=books))
            session.commit()
