//! `Speed`: how quickly an upstream answers, and whether it does. Pure: times are arguments.

use std::time::Duration;

/// Nobody is asked too after less than this: it is within what one machine loses to another task.
const PATIENCE_MIN: Duration = Duration::from_millis(20);
/// After this a second one is asked whatever the first one's speed: clients notice the rest.
pub(super) const PATIENCE_MAX: Duration = Duration::from_millis(400);
/// One that was never measured is given so long before a second one is asked.
const PATIENCE_FIRST: Duration = Duration::from_millis(100);
/// What was measured longer ago says nothing of now: the next measure takes its place, and one is due.
const MEASURE_AGE_MAX: Duration = Duration::from_mins(1);
/// Questions that an upstream leaves unanswered, or refuses, in a row before it counts as failing.
const STRIKES_MAX: u32 = 4;
/// An upstream that fails is asked last for so long, doubling each time.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause: an upstream that is back is found within it.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Of a new measure an eighth counts (RFC 6298 section 2).
const SMOOTHING: u32 = 8;

/// What came of asking an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer.
    Answer,
    /// An error code, or something that is no answer.
    Refusal,
    /// Nothing while another one answered, or until everybody's time was up.
    Silence,
    /// It cannot be reached, or its own time is up.
    Nothing,
}

/// What is known of one upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Speed {
    /// The smoothed time to an answer, and when it was measured last.
    smoothed: Option<(Duration, Duration)>,
    strikes: u32,
    /// How long the present or last pause is, and its end; none since the last answer.
    pause: Option<(Duration, Duration)>,
    /// From when on it should be asked beside another one, so that something is known of it.
    due: Duration,
    pub(super) answered: u64,
    pub(super) failed: u64,
}

impl Speed {
    /// The smoothed time to an answer.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(time, _)| time)
    }

    /// Whether it is asked last, as it failed just before.
    pub(super) fn is_paused(&self, now: Duration) -> bool {
        self.pause.is_some_and(|(_, end)| now < end)
    }

    /// Whether nothing is known of how it is now, so that it should be asked beside another one.
    pub(super) fn wants_probe(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// It is asked now.
    pub(super) fn is_asked(&mut self, now: Duration) {
        let again = self.pause.map_or(MEASURE_AGE_MAX, |(length, _)| length);
        self.due = self.due.max(now + again);
    }

    /// How long it is given before another one is asked too: twice its usual time.
    pub(super) fn patience(&self) -> Duration {
        self.smoothed().map_or(PATIENCE_FIRST, |usual| {
            (usual * 2).clamp(PATIENCE_MIN, PATIENCE_MAX)
        })
    }

    /// What came of a question, so long after it was sent, at a time.
    pub(super) fn note(&mut self, came: Came, took: Duration, now: Duration) {
        match came {
            Came::Answer => {
                self.answered += 1;
                (self.strikes, self.pause) = (0, None);
                self.due = now + MEASURE_AGE_MAX;
                self.measure(took, now);
            }
            Came::Refusal => {
                self.measure(took, now);
                self.strike(1, now);
            }
            // Another one was quicker than this one was expected to be.
            Came::Silence if took < self.patience() => {}
            Came::Silence => {
                // It takes that long at least.
                self.measure(took, now);
                self.strike(1, now);
            }
            Came::Nothing => self.strike(STRIKES_MAX, now),
        }
    }

    fn measure(&mut self, took: Duration, now: Duration) {
        let before = self
            .smoothed
            .filter(|(_, at)| now.saturating_sub(*at) <= MEASURE_AGE_MAX);
        let smoothed = before.map_or(took, |(before, _)| {
            (before * (SMOOTHING - 1) + took) / SMOOTHING
        });
        self.smoothed = Some((smoothed, now));
    }

    fn strike(&mut self, count: u32, now: Duration) {
        self.failed += 1;
        self.strikes = self.strikes.saturating_add(count);
        if self.strikes < STRIKES_MAX || self.is_paused(now) {
            return;
        }
        let longer = self.pause.map(|(length, _)| (length * 2).min(PAUSE_MAX));
        let length = longer.unwrap_or(PAUSE_FIRST);
        self.pause = Some((length, now + length));
        self.due = now + length;
    }
}

/// The order in which upstreams are asked, and how many of the first are asked at once: the quickest
/// first, those never measured behind it, those that fail last. One of which nothing is known any more
/// is asked beside the quickest, so that nobody waits for it.
pub(super) fn line_up(speeds: &[Speed], now: Duration) -> (Vec<usize>, usize) {
    let mut order: Vec<(usize, &Speed)> = speeds.iter().enumerate().collect();
    // Stable: who is alike stays as written.
    order.sort_by_key(|(_, speed)| {
        let usual = speed.smoothed().unwrap_or(PATIENCE_MAX);
        (speed.is_paused(now), speed.pause.is_some(), usual)
    });
    let probed = order
        .iter()
        .skip(1)
        .position(|(_, speed)| speed.wants_probe(now));
    if let Some(at) = probed.map(|behind| behind + 1) {
        let one = order.remove(at);
        order.insert(1, one);
    }
    let order = order.into_iter().map(|(place, _)| place).collect();
    (order, if probed.is_some() { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// An upstream that answered in so many milliseconds, at a time.
    fn known(millis: u64, at: u64) -> Speed {
        let mut speed = Speed::default();
        speed.note(Came::Answer, ms(millis), ms(at));
        speed
    }

    #[test]
    fn the_quickest_is_first_and_what_fails_is_last() {
        let (slow, quick) = (known(80, 0), known(10, 0));
        let mut failing = known(1, 0);
        failing.note(Came::Nothing, ms(800), ms(1));
        let speeds = [failing, slow, quick];
        assert_eq!(line_up(&speeds, ms(10)), (vec![2, 1, 0], 1));
        // After its pause it is asked beside the quickest.
        assert_eq!(line_up(&speeds, ms(1_001)), (vec![2, 0, 1], 2));
    }

    #[test]
    fn one_that_was_long_not_asked_is_asked_beside_the_quickest() {
        let speeds = [known(10, 60_000), known(20, 60_000), known(30, 0)];
        assert_eq!(line_up(&speeds, ms(59_999)), (vec![0, 1, 2], 1));
        assert_eq!(line_up(&speeds, ms(60_000)), (vec![0, 2, 1], 2));
        // Once, whatever comes of it.
        let mut third = speeds[2];
        third.is_asked(ms(60_000));
        third.note(Came::Silence, ms(1), ms(60_001));
        let speeds = [speeds[0], speeds[1], third];
        assert_eq!(line_up(&speeds, ms(60_002)), (vec![0, 1, 2], 1));
        // And what it shows then counts alone.
        let mut third = speeds[2];
        third.note(Came::Answer, ms(2), ms(60_001));
        assert_eq!(third.smoothed(), Some(ms(2)));
        assert_eq!(
            line_up(&[speeds[0], speeds[1], third], ms(60_002)).0,
            [2, 0, 1]
        );
    }

    #[test]
    fn those_never_asked_are_asked_one_by_one_beside_the_first() {
        assert_eq!(line_up(&[Speed::default(); 3], ms(0)), (vec![0, 1, 2], 2));
        assert_eq!(line_up(&[Speed::default()], ms(0)), (vec![0], 1));
        assert_eq!(line_up(&[], ms(0)), (vec![], 1));
    }

    #[test]
    fn pauses_double_and_an_answer_ends_them() {
        let mut speed = known(10, 0);
        let mut now = 0;
        for secs in [1, 2, 4, 8, 16, 30, 30] {
            speed.note(Came::Nothing, ms(800), ms(now));
            assert!(speed.is_paused(ms(now + secs * 1_000 - 1)), "{secs}");
            now += secs * 1_000;
            assert!(
                !speed.is_paused(ms(now)) && speed.wants_probe(ms(now)),
                "{secs}"
            );
        }
        speed.note(Came::Answer, ms(10), ms(now));
        assert!(!speed.wants_probe(ms(now)));
        speed.note(Came::Nothing, ms(800), ms(now));
        assert!(!speed.is_paused(ms(now + 1_000)));
    }

    #[test]
    fn a_few_silences_or_refusals_are_no_failure() {
        for came in [Came::Silence, Came::Refusal] {
            let mut speed = known(10, 0);
            for _ in 0..3 {
                speed.note(came, ms(500), ms(1));
            }
            assert!(!speed.is_paused(ms(1)), "{came:?}");
            speed.note(Came::Answer, ms(10), ms(1));
            for _ in 0..3 {
                speed.note(came, ms(500), ms(1));
            }
            assert!(!speed.is_paused(ms(1)), "{came:?}");
            speed.note(came, ms(500), ms(1));
            assert!(speed.is_paused(ms(1)), "{came:?}");
        }
        // One that was given less than its time has done nothing wrong.
        let mut speed = known(100, 0);
        for _ in 0..10 {
            speed.note(Came::Silence, ms(199), ms(1));
        }
        assert_eq!((speed.is_paused(ms(1)), speed.failed), (false, 0));
    }

    #[test]
    fn patience_is_twice_the_usual_time_within_bounds() {
        for (usual, patience) in [(1, 20), (10, 20), (50, 100), (300, 400)] {
            assert_eq!(known(usual, 0).patience(), ms(patience));
        }
        assert_eq!(Speed::default().patience(), ms(100));
    }

    proptest! {
        /// Everybody is in the line once, whatever happened, and nobody who fails is before one who does
        /// not.
        #[test]
        fn a_line_has_everybody_once(
            notes in proptest::collection::vec((0_usize..4, 0_u8..4, 0_u64..2_000, 0_u64..90_000), 0..60),
            now in 0_u64..200_000,
        ) {
            let mut speeds = [Speed::default(); 4];
            let mut clock = 0;
            for (who, came, took, later) in notes {
                clock += later;
                let came = [Came::Answer, Came::Refusal, Came::Silence, Came::Nothing][usize::from(came)];
                speeds[who].note(came, ms(took), ms(clock));
            }
            let (order, at_once) = line_up(&speeds, ms(clock + now));
            let mut all = order.clone();
            all.sort_unstable();
            prop_assert_eq!(all, [0, 1, 2, 3]);
            prop_assert!((1..=2).contains(&at_once));
            let paused: Vec<bool> = order.iter().map(|at| speeds[*at].is_paused(ms(clock + now))).collect();
            prop_assert!(paused.is_sorted());
        }
    }
}
