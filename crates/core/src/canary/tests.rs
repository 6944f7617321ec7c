//! How often a comparison is wrong, and what it finds.

use super::shift::shift;
use super::*;

/// Numbers that look random, the same each time (Steele and others' `SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How busy machines are: most a little, some very.
    fn load(&mut self) -> f64 {
        -20.0 * (1.0 - self.uniform()).ln() + 5.0
    }

    fn loads(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.load()).collect()
    }
}

fn canary() -> Canary {
    serde_saphyr::from_str("{higher_is_worse: [processor]}").unwrap()
}

fn comparison(upgraded: &[f64], control: &[f64], error: f64) -> Comparison {
    let change = shift(upgraded, control, error).map(|it| Interval {
        estimate: it.estimate.into(),
        low: it.low.into(),
        high: it.high.into(),
    });
    let mut sorted = control.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let normal = shift::median(&sorted).unwrap();
    Comparison {
        signal: "processor".parse().unwrap(),
        worse: Worse::Higher,
        upgraded: upgraded.len() as u32,
        control: control.len() as u32,
        normal: Reading::try_from(normal).unwrap(),
        change,
    }
}

/// Whether any of so many looks, at 8, 16, 32 … devices against so many, says that they are worse.
fn is_ever_worse(numbers: &mut Numbers, factor: f64, (looks, control): (u32, usize)) -> bool {
    let (canary, control) = (canary(), numbers.loads(control));
    let upgraded: Vec<f64> =
        numbers.loads(8 << (looks - 1)).iter().map(|load| load * factor).collect();
    (0..looks).any(|look| {
        let error = canary.error_of(Share::P95, look + 1);
        let comparison = comparison(&upgraded[..8 << look], &control, error);
        comparison.judge(canary.tolerance) == Judgement::Worse
    })
}

#[test]
fn a_release_that_changes_nothing_is_seldom_blamed_over_all_looks() {
    let mut numbers = Numbers(1);
    let blamed = (0..500).filter(|_| is_ever_worse(&mut numbers, 1.0, (5, 100))).count();
    assert!(blamed <= 25, "{blamed} of 500, where 5% would be 25");
}

#[test]
fn a_release_that_makes_machines_twice_as_busy_is_found() {
    let mut numbers = Numbers(2);
    let found = (0..40).filter(|_| is_ever_worse(&mut numbers, 2.0, (5, 100))).count();
    assert!(found >= 37, "{found} of 40");
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let mut numbers = Numbers(3);
    let holds = (0..1000).filter(|_| {
        let control = numbers.loads(40);
        let upgraded: Vec<f64> = numbers.loads(12).iter().map(|load| load + 7.0).collect();
        let shift = shift(&upgraded, &control, 0.05).unwrap();
        (shift.low..=shift.high).contains(&7.0)
    });
    let holds = holds.count();
    assert!((935..=985).contains(&holds), "{holds} of 1000, where 950 are due");
}

#[test]
fn what_is_shown_depends_on_the_direction() {
    let (low, high): (Vec<f64>, Vec<f64>) =
        ((0..20).map(f64::from).collect(), (100..120).map(f64::from).collect());
    let more = comparison(&high, &low, 0.01);
    assert_eq!(more.judge(Share::P25), Judgement::Worse);
    let less = Comparison { worse: Worse::Lower, ..more.clone() };
    assert_eq!(less.judge(Share::P25), Judgement::Fine, "more of it is no worse");
    let dropped = Comparison { worse: Worse::Lower, ..comparison(&low, &high, 0.01) };
    assert_eq!(dropped.judge(Share::P25), Judgement::Worse);
    assert_eq!(Comparison { change: None, ..more }.judge(Share::P25), Judgement::Unclear);
}

#[test]
fn a_small_change_is_fine_only_if_it_is_shown_to_be_small() {
    let mut numbers = Numbers(4);
    let wide = comparison(&numbers.loads(8), &numbers.loads(8), 0.03);
    assert_eq!(wide.judge(Share::P25), Judgement::Unclear, "{wide}");
    let narrow = comparison(&[30.1; 8], &[30.0; 8], 0.03);
    assert_eq!(narrow.judge(Share::P25), Judgement::Fine, "{narrow}");
}

#[test]
fn no_errors_at_all_are_no_worse_than_none() {
    assert_eq!(comparison(&[0.0; 8], &[0.0; 8], 0.03).judge(Share::P25), Judgement::Fine);
    let some = comparison(&[3.0, 2.0, 4.0, 3.0, 2.0, 5.0, 3.0, 2.0], &[0.0; 30], 0.03);
    assert_eq!(some.judge(Share::P25), Judgement::Worse, "{some}");
}

#[test]
fn all_looks_together_are_as_sure_as_the_gate_asks() {
    let mut two = canary();
    two.lower_is_worse.push("disk_free".parse().unwrap());
    let spent: f64 = (1..10_000).map(|look| two.error_of(Share::P95, look) * 2.0).sum();
    assert!(spent < 0.05 && spent > 0.0499, "{spent}");
}

#[test]
fn it_reads_what_it_writes() {
    let look = Look {
        number: 2,
        devices: 16,
        is_final: true,
        is_accepted: false,
        comparisons: vec![comparison(&[1.25; 9], &[1.5; 9], 0.03)],
    };
    let text = serde_json::to_string(&look).unwrap();
    assert!(text.contains(r#""change":{"estimate":-0.25,"low":-0.25,"high":-0.25}"#), "{text}");
    assert_eq!(serde_json::from_str::<Look>(&text).unwrap(), look);
    let words = look.to_string();
    assert_eq!(
        words,
        "look 2; processor on 9 devices against 9 without the release: -0.25 (-0.25 to -0.25), \
         where 1.5 is normal"
    );
}
