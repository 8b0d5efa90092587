"""From answers to what is shown, recorded and played: the Listen page's other half.

Owns the last look and the clip behind it. Tracks are looked up off the GUI thread, so an answer is
shown a moment after it came; one that a newer look has overtaken is not shown at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from songid_desktop.errors import SongIDError
from songid_desktop.types import AudioBlock, Identification, Track, Verdict
from songid_desktop.ui import answer_words, readiness_words
from songid_desktop.ui.answer import AnswerPanel, Place
from songid_desktop.ui.answer_words import Words
from songid_desktop.ui.heard import CLIP_AT_MOST_S, HistoryKeeper, keep_clip
from songid_desktop.ui.listen_control import ListenControl
from songid_desktop.ui.listen_state import ListenState
from songid_desktop.ui.services import Services
from songid_desktop.ui.spectrogram import SpectrogramView
from songid_desktop.ui.track_cards import TrackCard, TrackCards
from songid_desktop.ui.wording import joined

if TYPE_CHECKING:
    from songid_desktop.audio.ring import Ring
    from songid_desktop.identify.session import Look

NAME_KEPT_S = 8.0
"""In continuous mode a name stays this long after the last look that gave it."""
_END_MARGIN_S = 1.0


class ListenResults(QObject):
    """See the module."""

    def __init__(
        self,
        services: Services,
        control: ListenControl,
        answer: AnswerPanel,
        spectrogram: SpectrogramView,
    ) -> None:
        super().__init__(answer)
        self._services = services
        self._control = control
        self._answer = answer
        self._spectrogram = spectrogram
        self._cards = TrackCards(services)
        self._keeper = HistoryKeeper(services)
        self._look: Look | None = None
        self._found: Identification | None = None
        self._clip: AudioBlock | None = None
        self._named_at = 0.0
        self._named_track = 0
        self._kept_track = self._told_track = 0
        self._is_recorded = False
        control.began.connect(self._on_began)
        control.looked.connect(self._on_look)
        control.file_answered.connect(self._on_file)
        control.failed.connect(self._on_failed)
        control.ended.connect(self._on_ended)
        control.given_up.connect(lambda: self.show_idle(is_reset=True))
        services.counts_changed.connect(lambda _counts: self.show_idle())
        services.identifiers.changed.connect(self._on_identifiers)
        services.playing_changed.connect(self._on_playing)
        self.show_idle()

    @property
    def look(self) -> Look | None:
        """The last look of this listening."""
        return self._look

    @property
    def can_keep(self) -> bool:
        """Whether there is sound to keep."""
        return self._control.is_active or self._clip is not None

    def show_idle(self, *, is_reset: bool = False) -> None:
        """What to do first; only while nothing better stands there."""
        words = self._answer.words
        is_busy = self._control.is_active or self._control.state is ListenState.FILE
        if is_busy or not (is_reset or words.is_idle or not words.heading):
            return
        services = self._services
        chosen = services.identifiers.chosen
        count = None
        if services.is_counted:
            count = services.counts.tracks if services.counts else 0
        unready = None if services.catalog_trouble else readiness_words.not_ready(chosen)
        self._answer.show_words(
            unready
            or answer_words.idle(count, services.catalog_trouble, readiness_words.can_name(chosen))
        )
        self._spectrogram.clear_match()

    def _on_identifiers(self) -> None:
        """Another identifier was chosen, or one has learnt more."""
        self.show_idle()

    def _words_for(self, found: Identification, words: Words) -> Words:
        """An identifier that finds nothing enrolled for it may still have a library to learn."""
        if found.verdict is not Verdict.EMPTY_CATALOG:
            return words
        return readiness_words.not_ready(self._services.identifiers.chosen) or words

    # Live

    def _on_began(self, _ring: Ring) -> None:
        self._look = self._found = self._clip = None
        self._named_at, self._named_track, self._kept_track, self._told_track = 0.0, 0, 0, 0
        self._answer.show_words(answer_words.starting())
        self._is_recorded = not self._control.is_demo
        if self._is_recorded:
            self._keeper.begin(self._control.source_label)

    def _on_look(self, look: Look, audio: AudioBlock) -> None:
        self._look, self._found, self._clip = look, look.identification, audio
        if self._is_recorded:
            self._keeper.take(look, self._control.source_label)
        words = answer_words.for_look(
            self._found, look.heard_s, kind=self._control.source_kind, is_open=not look.is_final
        )
        words = self._words_for(self._found, words)
        best = self._found.best
        if words.is_naming and best is not None:
            self._named_at = time.monotonic()
            self._show_named(words, self._found, look)
            self._spectrogram.show_match(best.evidence, audio.start_s, best.track_id)
            self._keep_if_wanted(self._found, audio)
            return
        if self._named_track and time.monotonic() - self._named_at < NAME_KEPT_S:
            return  # a miss between two good looks takes nothing away
        self._named_track = 0
        self._spectrogram.clear_match()
        self._answer.show_words(words, keep_candidates=True)
        self._show_candidates(self._found)

    def _on_ended(self) -> None:
        if self._is_recorded:
            self._keeper.end()
        if self._answer.words.is_naming or self._named_track:
            return
        look = self._look
        if look is None or look.identification.verdict is Verdict.NOT_ENOUGH_AUDIO:
            self.show_idle(is_reset=True)
            return
        words = answer_words.for_look(
            look.identification, look.heard_s, kind=self._control.source_kind, is_open=False
        )
        words = self._words_for(look.identification, words)
        self._answer.show_words(words, keep_candidates=True)

    def _on_failed(self, error: BaseException) -> None:
        self._services.report(error, "The music could not be identified.")
        sentence = str(error) if isinstance(error, SongIDError) else ""
        self._answer.show_words(answer_words.failed(sentence))

    def _show_named(self, words: Words, found: Identification, look: Look | None) -> None:
        best = found.best
        assert best is not None
        self._named_track = best.track_id
        place = Place(best.offset_s, time.time(), is_running=False)
        if look is not None and look.now_in_track_s is not None:
            # The demo's music ends with its match; what a room plays goes on.
            is_over = look.is_final and self._control.is_demo
            place = Place(
                look.now_in_track_s, look.heard_at, is_running=not is_over, speed=look.speed
            )

        def show(cards: dict[int, TrackCard]) -> None:
            card = cards.get(best.track_id)
            if card is None or found is not self._found:
                return  # removed meanwhile, or a newer answer came first
            self._answer.show_naming(words, card.track, card.image, best, place)
            self._tell_behind_others(card.track, found)
            self._fill_candidates(found, cards, first=1)

        self._cards.get([match.track_id for match in found.matches], show)

    def _tell_behind_others(self, track: Track, found: Identification) -> None:
        """Continuous mode behind another page: one note a play."""
        is_news = track.track_id != self._told_track and found.verdict is Verdict.MATCH
        if is_news and self._control.is_active and not self._answer.isVisible():
            from songid_desktop.ui.toasts import ToastAction

            self._told_track = track.track_id
            show = ToastAction("Show", lambda: self._services.show_page("listen"))
            name = joined([track.title, track.artist])
            self._services.notify(f"Heard: {name}", show)

    def _show_candidates(self, found: Identification) -> None:
        def show(cards: dict[int, TrackCard]) -> None:
            if found is self._found:
                self._fill_candidates(found, cards, first=0)

        self._cards.get([match.track_id for match in found.matches], show)

    def _fill_candidates(
        self, found: Identification, cards: dict[int, TrackCard], *, first: int
    ) -> None:
        self._answer.show_candidates(
            found.matches[first:],
            {each: card.track for each, card in cards.items()},
            {each: card.image for each, card in cards.items() if card.image is not None},
        )

    # Files

    def _on_file(self, path: Path, found: Identification) -> None:
        self.show_file(found)
        if answer_words.for_file(found).is_naming:
            self._record_file(path, found)

    def show_file(self, found: Identification) -> None:
        """The answer to a file."""
        self._look = self._clip = None
        self._found = found
        words = self._words_for(found, answer_words.for_file(found))
        if words.is_naming:
            self._show_named(words, found, None)
        else:
            self._named_track = 0
            self._answer.show_words(words)
            self._show_candidates(found)

    def show_words(self, words: Words) -> None:
        """Something about a file that has no answer."""
        self._look = self._clip = self._found = None
        self._named_track = 0
        self._answer.show_words(words)

    def look_up(self, ids: list[int], take: Callable[[dict[int, TrackCard]], None]) -> None:
        """Call `take` with the tracks of these ids, and their covers."""
        self._cards.get(ids, take)

    def _record_file(self, path: Path, found: Identification) -> None:
        best = found.best
        if best is None or found.verdict is not Verdict.MATCH:
            return

        def add(cards: dict[int, TrackCard]) -> None:
            if best.track_id in cards:
                self._keeper.add_file(path, found, cards[best.track_id].track)

        self._cards.get([best.track_id], add)

    # Keeping clips

    def keep_last(self) -> None:
        """Save the last seconds heard, up to 15, and note them in the history."""
        ring, block = self._control.ring, self._clip
        if self._control.is_active and ring is not None:
            block = ring.latest(min(CLIP_AT_MOST_S, self._control.heard_s))
        if block is None or not len(block.samples):
            self._services.notify("There is nothing to keep yet. Listen first.")
            return
        self._keep(block, is_asked=True)

    def _keep_if_wanted(self, found: Identification, audio: AudioBlock) -> None:
        is_wanted = self._services.settings.keep_matched_clips and self._is_recorded
        if not is_wanted or found.verdict is not Verdict.MATCH or found.best is None:
            return
        if found.best.track_id != self._kept_track:
            self._kept_track = found.best.track_id
            self._keep(audio, is_asked=False)

    def _keep(self, block: AudioBlock, *, is_asked: bool) -> None:
        source = self._control.source_label
        track_id = self._named_track

        def keep(cards: dict[int, TrackCard]) -> None:
            card = cards.get(track_id)
            job = keep_clip(self._services, block, card.track if card else None, source)
            job.failed.connect(lambda error: self._services.report(error, "No clip was kept."))
            if is_asked:
                job.done.connect(lambda _path: self._tell_kept(block.duration_s))

        if track_id:
            self._cards.get([track_id], keep)
        else:
            keep({})

    def _tell_kept(self, seconds: float) -> None:
        from songid_desktop.ui.toasts import ToastAction

        show = ToastAction("Show", lambda: self._services.show_page("history"))
        self._services.notify(f"Kept a clip of {seconds:.0f} s in the history.", show, "ok")

    # Playing

    def play_or_stop(self) -> None:
        """Play the named track from where the music is now, or stop."""
        services, track, place = self._services, self._answer.track, self._answer.place
        if services.is_playing:
            services.stop_playing()
            return
        if track is None or place is None:
            return
        last_s = max(0.0, track.duration_s - _END_MARGIN_S)
        start_s = place.now()
        if start_s > last_s:  # what was heard has ended since
            start_s = place.seconds
        services.play(track.path, min(max(0.0, start_s), last_s))

    def play_file(self) -> None:
        """Play the named track from where the file begins in it."""
        best = self._found.best if self._found is not None else None
        if best is not None:
            self.play_candidate(best.track_id)

    def play_candidate(self, track_id: int) -> None:
        """Play another candidate from where the clip would lie in it."""
        found = self._found
        matches = found.matches if found is not None else ()
        offset_s = next((m.offset_s for m in matches if m.track_id == track_id), 0.0)

        def play(cards: dict[int, TrackCard]) -> None:
            if track_id in cards:
                self._services.play(cards[track_id].track.path, max(0.0, offset_s))

        self._cards.get([track_id], play)

    def _on_playing(self, path: Path | None) -> None:
        self._answer.set_playing(is_playing=path is not None)
