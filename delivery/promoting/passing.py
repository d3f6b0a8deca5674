"""The steps of one pass, in order. Each does nothing unless the promotion stands where it begins."""

from dataclasses import replace

from delivery.errors import DeliveryError, PermanentError, StaleFenceError, TransientError
from delivery.promoting import closing, requesting, rolling_out, verifying
from delivery.promoting.judging import Judgement
from delivery.promoting.rolling_out import Said
from delivery.promoting.turn import Turn, read_promotion
from delivery.promotion import Phase

BEFORE_TRAFFIC = frozenset({Phase.JUDGING, Phase.WAITING, Phase.ROLLING_OUT})


def begin(turn: Turn) -> Turn:
    """Go to Judging from the queue; end what was asked to stop; settle what a finished rollback undid."""
    promotion = turn.promotion
    if promotion.phase is Phase.ROLLING_BACK and promotion.rolled_back_by:
        closing.close_undone(turn, read_promotion(turn.connections, promotion.rolled_back_by))
        return turn.again()
    if promotion.phase in {Phase.REQUESTED, Phase.QUEUED}:
        turn = turn.write(turn.moved(Phase.JUDGING, "asking the gates"))
        requesting.supersede_older(turn.connections, turn.promotion)
    return heed_abort(turn)


def heed_abort(turn: Turn) -> Turn:
    """End what somebody asked to stop, unless it is past the gates."""
    if turn.promotion.abort_requested and judging(turn):
        return closing.end(turn, Phase.ABORTED, turn.promotion.abort_requested)
    return turn


def judging(turn: Turn) -> bool:
    """Whether the gates are still to be asked."""
    return turn.promotion.phase in {Phase.JUDGING, Phase.WAITING}


def follow(turn: Turn, judgement: Judgement) -> Turn:
    """Refused for good, waiting for time to pass, or on to the rollout."""
    turn = heed_abort(turn.again())
    if not judging(turn):
        return turn
    if judgement.refusals:
        return closing.end(turn, Phase.REFUSED, "; ".join(judgement.refusals))
    if judgement.waits:
        return turn.write(turn.moved(Phase.WAITING, "; ".join(judgement.waits), flow_run=None))
    if turn.promotion.phase is Phase.WAITING:
        return turn.write(turn.moved(Phase.JUDGING, "every gate passed"))
    return turn


def start_new_side(turn: Turn, say: Said) -> Turn:
    """Roll out beside what runs; a side that never gets well is taken away and the promotion Failed."""
    if turn.promotion.phase not in {Phase.JUDGING, Phase.ROLLING_OUT}:
        return turn
    turn = rolling_out.begin(turn)
    try:
        return replace(turn, handle=rolling_out.start_new_side(turn, say))
    except (StaleFenceError, TransientError):
        raise
    except PermanentError as error:
        say(error.message)
        if rolling_out.had_traffic(turn):
            return closing.fail_after_exposure(closing.go_live(turn), error.message)
        _take_away_what_started(turn, say)
        return closing.fail_before_exposure(turn, error.message)


def _take_away_what_started(turn: Turn, say: Said) -> None:
    """Best effort: the promotion has Failed either way, and what serves is not touched by what is left over."""
    try:
        rolling_out.take_away(turn, rolling_out.handle_of(turn))
    except StaleFenceError:
        raise
    except DeliveryError as error:
        say(f"taking the new side away: {error.message}")


def shift_traffic(turn: Turn) -> Turn:
    """Give the new side the traffic; incidents that this mends are mitigated from here on."""
    if turn.promotion.phase is not Phase.ROLLING_OUT:
        return turn
    handle = turn.handle or rolling_out.handle_of(turn)
    rolling_out.shift_traffic(turn, handle)
    return replace(closing.go_live(turn), handle=handle)


def run_smoke_suite(turn: Turn, say: Said) -> Turn:
    """Ask the smoke suite; when it does not pass, go back."""
    if turn.promotion.phase is not Phase.VERIFYING:
        return turn
    report = verifying.run_smoke(turn, say)
    if report is None or report.passed:
        return turn
    return closing.fail_after_exposure(turn, f"smoke suite: {'; '.join(report.reasons)}")


def watch_release(turn: Turn, say: Said) -> Turn:
    """Look until the watch window closes; when the release falls ill, go back."""
    if turn.promotion.phase is not Phase.VERIFYING:
        return turn
    for reason in verifying.watch(turn, say):
        if reason:
            say(reason)
            return closing.fail_after_exposure(turn, f"watch: {reason}")
    return turn


def retire_old_side(turn: Turn) -> Turn:
    """Stop what gets no traffic any more, and close the promotion as Succeeded."""
    if turn.promotion.phase is not Phase.VERIFYING:
        return turn
    rolling_out.take_away(turn, turn.handle or rolling_out.handle_of(turn))
    return closing.succeed(turn)
