"""Books in a database, by synchronous SQLAlchemy."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "books"

    number: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50), unique=True)


class NewBook(BaseModel):
    title: str


engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
app = FastAPI(title="shelf")
DEPENDENCIES = {"engines": {"primary": engine}}


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


@app.post("/books", status_code=201)
def add(book: NewBook, db: Annotated[Session, Depends(session)]) -> int:
    row = Book(title=book.title)
    db.add(row)
    db.commit()
    return row.number


@app.get("/books/{number}")
def get(number: int, db: Annotated[Session, Depends(session)]) -> str:
    row = db.scalar(select(Book).where(Book.number == number))
    if row is None:
        raise HTTPException(404)
    return row.title
