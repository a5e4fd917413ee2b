//! Stopping early: exact for votes, by a margin for log-odds.

use hydra_adapter::{
    AdaptError, AdaptRequest, Adapted, Adapter, MajorityVote, MarginStop, Next, Sampling, StopPolicy, VoteStop,
};
use hydra_heads::HeadChoice;
use hydra_types::{CandidateTemplate, Scope, UserId};
use proptest::prelude::*;

use crate::toy::personal;

fn weigh(adapter: &mut dyn Adapter, candidates: &[String]) -> Adapted {
    let scope = Scope::acting_for(UserId::new(1));
    let request = AdaptRequest { scope: &scope, head: HeadChoice::Own, query: "", history: &[], candidates };
    adapter.adapt(&[request]).unwrap().remove(0)
}

/// Draws from `texts` until the policy stops; tells what was drawn and which text was picked.
fn draw(adapter: &mut dyn Adapter, policy: &impl StopPolicy, texts: &[&str]) -> (Sampling, String) {
    let mut sampling = Sampling::new(texts.len());
    for text in texts {
        sampling.push(*text, 4);
        let adapted = weigh(adapter, sampling.candidates());
        if sampling.next(policy, &adapted) == Next::Stop {
            let picked = sampling.candidates()[adapted.best()].clone();
            return (sampling, picked);
        }
    }
    panic!("the last draw stops");
}

fn power(base: usize, exponent: usize) -> usize {
    std::iter::repeat_n(base, exponent).product()
}

#[test]
fn votes_are_stopped_exactly_when_they_are_decided() {
    // Every way in which six draws of three texts can come.
    for number in 0..power(3, 6) {
        let texts: Vec<&str> = (0..6).map(|place| ["x", "y", "z"][number / power(3, place) % 3]).collect();
        let (sampling, picked) = draw(&mut MajorityVote, &VoteStop, &texts);
        let drawn = sampling.candidates().len();
        let winner = |texts: &[&str]| {
            let all: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            all[weigh(&mut MajorityVote, &all).best()].clone()
        };
        assert_eq!(picked, winner(&texts), "{texts:?}");
        // One draw earlier it was still open: some continuation picks another text than the leader of that moment.
        let before = &texts[..drawn - 1];
        let is_open = drawn == 1 || {
            let left = 6 - before.len();
            let leader = winner(before);
            (0..power(4, left)).any(|number| {
                let rest = (0..left).map(|place| ["x", "y", "z", "w"][number / power(4, place) % 4]);
                winner(&before.iter().copied().chain(rest).collect::<Vec<_>>()) != leader
            })
        };
        assert!(is_open, "{texts:?} was decided before draw {drawn}");
    }
}

#[test]
fn a_margin_stops_when_the_best_is_far_enough_ahead() {
    let mut adapter = personal(CandidateTemplate::query_only());
    // Log-odds of user 1: a 0.5, b 2, c -1.
    let policy = |least, margin| MarginStop::new(least, margin).unwrap();
    let mut drawn = |policy: MarginStop, texts: &[&str]| draw(&mut adapter, &policy, texts).0.candidates().len();
    assert_eq!(drawn(policy(1, 1.9), &["b", "a", "c"]), 1);
    assert_eq!(drawn(policy(2, 1.9), &["b", "a", "c", "c"]), 4, "1.5 ahead of the second is not 1.9");
    assert_eq!(drawn(policy(2, 1.4), &["b", "a", "c"]), 2);
    assert_eq!(drawn(policy(1, 0.6), &["a", "c", "b"]), 2);
    assert_eq!(drawn(policy(1, f32::INFINITY), &["b", "b", "b"]), 3);
    assert_eq!(drawn(policy(9, 0.0), &["b", "b"]), 2, "no more than there are");
    for margin in [-1.0, f32::NAN] {
        assert!(matches!(MarginStop::new(1, margin), Err(AdaptError::Margin { .. })));
    }
}

#[test]
fn what_was_saved_is_what_was_not_drawn() {
    let mut adapter = personal(CandidateTemplate::query_only());
    let (sampling, picked) = draw(&mut adapter, &MarginStop::new(2, 1.4).unwrap(), &["b", "a", "c", "c", "c"]);
    let cost = sampling.cost();
    assert_eq!((picked.as_str(), cost.drawn, cost.most, cost.tokens, cost.tokens_saved), ("b", 2, 5, 8, 12));
    assert_eq!(Sampling::new(3).cost().tokens_saved, 0);
}

proptest! {
    #[test]
    fn a_larger_margin_never_draws_less(
        picks in prop::collection::vec(0_usize..4, 1..8), small in 0.0_f32..4.0, more in 0.0_f32..4.0,
    ) {
        let texts: Vec<&str> = picks.iter().map(|&at| ["a", "b", "c", "ab"][at]).collect();
        let mut adapter = personal(CandidateTemplate::query_only());
        let mut drawn = |margin| {
            draw(&mut adapter, &MarginStop::new(1, margin).unwrap(), &texts).0.candidates().len()
        };
        prop_assert!(drawn(small) <= drawn(small + more));
    }
}
