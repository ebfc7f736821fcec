from service.database.lag import MAX_SAMPLES, ReplicationLag


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_replica_that_has_every_write_has_no_lag() -> None:
    clock = Clock()
    lag = ReplicationLag(clock=clock)
    lag.primary_is_at(10)
    lag.replica_is_at(10)
    clock.now += 3600
    lag.primary_is_at(10)
    assert lag.seconds == 0


def test_the_lag_is_the_age_of_the_oldest_position_that_is_missing() -> None:
    clock = Clock()
    lag = ReplicationLag(clock=clock)
    for position in (10, 20, 30):
        lag.primary_is_at(position)
        clock.now += 1
    lag.replica_is_at(5)
    assert lag.seconds == 3
    lag.replica_is_at(10)
    assert lag.seconds == 2
    lag.replica_is_at(29)
    assert lag.seconds == 1
    lag.replica_is_at(30)
    assert lag.seconds == 0


def test_a_replica_that_lost_its_primary_falls_behind() -> None:
    clock = Clock()
    lag = ReplicationLag(clock=clock)
    lag.primary_is_at(10)
    lag.replica_is_at(10)
    lag.primary_is_at(11)
    for _ in range(5):
        clock.now += 1
        lag.primary_is_at(11)
        lag.replica_is_at(10)
    assert lag.seconds == 5


def test_the_memory_of_a_replica_that_never_catches_up_is_bounded() -> None:
    clock = Clock()
    lag = ReplicationLag(clock=clock)
    for position in range(1, MAX_SAMPLES + 100):
        lag.primary_is_at(position)
        clock.now += 1
    assert len(lag._pending) == MAX_SAMPLES
    assert lag.seconds == MAX_SAMPLES + 99
    lag.replica_is_at(MAX_SAMPLES + 98)
    assert lag.seconds > 0
    lag.replica_is_at(MAX_SAMPLES + 99)
    assert lag.seconds == 0
