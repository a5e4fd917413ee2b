use std::collections::BTreeSet;
use std::error::Error;

use super::*;
use crate::scifact::tests::Files;

/// Lists as numpy prints them, in fields as CSV quotes them.
const CORPUS: &str = "\
1,First title,\"['One sentence. '\n \"\"Another's sentence.\"\"]\",False
2, Second title ,\"['It\\'s \"\"quoted\"\".'  'Or not.']\",True
3,Third title,[],False
";

#[test]
fn abstracts_and_claims_are_read_as_they_are_written() {
    let train = "\
5,\" A claim, with a comma. \",1,SUPPORT,[0],[1 2]
5,\"A claim, with a comma.\",2,SUPPORT,[1],[1 2]
4,Another claim.,,,[],[3]
";
    let data = Files { corpus: CORPUS, train, development: "6,A third.,,,[],[2]\n" }.load().unwrap();
    let written = |id| &data.abstracts[&RecordId::new(id)];
    assert_eq!(written(1).sentences, ["One sentence.", "Another's sentence."]);
    assert_eq!(written(2).text(), "Second title It's \"quoted\". Or not.");
    assert_eq!(written(3).text().trim(), "Third title");
    let cited = |ids: &[u64]| ids.iter().copied().map(RecordId::new).collect::<BTreeSet<_>>();
    let claim = |id, text: &str, ids: &[u64]| Claim { id, text: text.to_owned(), cited: cited(ids) };
    assert_eq!(data.learned, [claim(4, "Another claim.", &[3]), claim(5, "A claim, with a comma.", &[1, 2])]);
    assert_eq!(data.held_out, []);
    assert_eq!(data.development, [claim(6, "A third.", &[2])]);
    assert_eq!(data.cited_in_training(), cited(&[1, 2, 3]));
}

#[test]
fn training_claims_that_are_judged_on_are_left_out() {
    let (train, development) = ("1,Same words.,,,[],[1]\n2,Other words.,,,[],[1]\n", "3, Same words. ,,,[],[2]\n");
    let data = Files { corpus: CORPUS, train, development }.load().unwrap();
    assert_eq!(data.learned.iter().map(|claim| claim.id).collect::<Vec<_>>(), [2]);
    assert_eq!(data.development.len(), 1);
}

/// Claim `n` of a chain cites abstracts `n` and `n + 1`; chains have different lengths and lie in each other.
#[test]
fn what_is_held_out_shares_no_abstract_with_what_is_learned() {
    let ids = 0..400_u64;
    let corpus: String = ids.map(|id| format!("{id},Title {id},['Text.'],False\n")).collect();
    for chain in [1, 2, 3, 7] {
        let claims = (0..90_u64).map(|claim| {
            let (number, place) = (claim % 30, claim / 30);
            let first = number * 7 + place;
            let second = if chain > place { first + 1 } else { first };
            format!("{claim},Claim {claim}.,,,[],[{first} {second}]\n")
        });
        let train: String = claims.collect();
        let data = Files { corpus: &corpus, train: &train, development: "99,Claim.,,,[],[399]\n" }.load().unwrap();
        let cited = |claims: &[Claim]| claims.iter().flat_map(|claim| claim.cited.clone()).collect::<BTreeSet<_>>();
        assert_eq!(data.learned.len() + data.held_out.len(), 90);
        assert!(data.held_out.len() >= 6, "{} held out", data.held_out.len());
        assert!(cited(&data.learned).is_disjoint(&cited(&data.held_out)));
        assert!(data.learned.is_sorted_by_key(|claim| claim.id) && data.held_out.is_sorted_by_key(|claim| claim.id));
    }
}

#[test]
fn what_cannot_be_read_is_said_without_its_text() {
    let (train, development) = ("1,secret claim,,,[],[1]\n", "2,secret too,,,[],[2]\n");
    let good = Files { corpus: CORPUS, train, development };
    let with_train = |train: &'static str| Files { train, ..good };
    let with_corpus = |corpus: &'static str| Files { corpus, ..good };
    for (files, said) in [
        (with_corpus("1,t,secret,False\n"), "the abstract with the number 1 is no list of quoted sentences"),
        (with_corpus("1,t,['secret'],False\n1,t,['secret'],False\n"), "two abstracts have the number 1"),
        (with_corpus("secret,t,[],False\n"), "not the CSV that was expected"),
        (with_corpus(""), "holds nothing"),
        (with_train("1,secret,,,[],secret\n"), "the citations of claim 1 are no list of numbers"),
        (with_train("1,secret,,,[],[]\n"), "claim 1 cites nothing"),
        (with_train("1,secret,,,[],[1 77]\n"), "claim 1 cites 77, which is not in the corpus"),
        (with_train("1,secret,,,[],[1]\n1,other secret,,,[],[1]\n"), "the rows of claim 1 differ"),
        (with_train("1,secret,,,[],[1]\n1,secret,,,[],[2]\n"), "the rows of claim 1 differ"),
        (with_train("1,secret\n"), "not the CSV that was expected"),
    ] {
        let error = files.load().err().expect(said);
        let mut shown = error.to_string();
        assert!(shown.starts_with(said) || shown.ends_with(said), "{shown}");
        let mut source = error.source();
        while let Some(cause) = source {
            shown += &cause.to_string();
            source = cause.source();
        }
        assert!(!shown.contains("secret"), "{shown}");
    }
    let missing = SciFact::load(Path::new("no such folder")).err().unwrap();
    assert!(missing.to_string().contains("no such folder"), "{missing}");
}
