//! Curves over time as inline SVG, with the same in a table for whoever can't see them.

use gofleet_core::time::Span;

use super::format;

/// The picture's own measures; the page stretches it to the room that there is.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
/// Lines of the tables: more points are skipped over evenly.
const TABLE_ROWS: usize = 13;

/// A chart.
pub(super) struct Chart {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, in words.
    pub(super) description: String,
    pub(super) curves: Vec<Curve>,
    /// Labels of the axes: left to right, and top to bottom.
    pub(super) x: Vec<String>,
    pub(super) y: Vec<String>,
    pub(super) heading: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    /// Whether it shows the point in time that is looked at.
    pub(super) has_cursor: bool,
}

/// A line, an area, or bars.
pub(super) struct Curve {
    /// Its class, which gives it its look.
    pub(super) class: &'static str,
    pub(super) label: String,
    pub(super) path: String,
}

/// From values to places in the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    x_max: f64,
    y_max: f64,
}

impl Scale {
    /// A picture that ends at `x_max`, and at a round number from `y_max` on.
    pub(super) fn new(x_max: f64, y_max: f64) -> Self {
        Self { x_max: x_max.max(f64::MIN_POSITIVE), y_max: round_up(y_max) }
    }

    /// Where it ends above.
    pub(super) const fn top(self) -> f64 {
        self.y_max
    }

    /// Where a value stands from left to right, in thousandths.
    pub(super) fn x(self, x: f64) -> f64 {
        (x / self.x_max * WIDTH).clamp(0.0, WIDTH)
    }

    fn place(self, (x, y): (f64, f64)) -> String {
        let y = HEIGHT - (y / self.y_max * HEIGHT).clamp(0.0, HEIGHT);
        format!("{:.1} {y:.1}", self.x(x))
    }

    /// A line through points.
    pub(super) fn line(self, points: &[(f64, f64)]) -> String {
        let places: Vec<String> = points.iter().map(|point| self.place(*point)).collect();
        if places.is_empty() { String::new() } else { format!("M{}", places.join("L")) }
    }

    /// A line that keeps the last value until the next.
    pub(super) fn steps(self, points: &[(f64, f64)]) -> String {
        let mut corners = Vec::with_capacity(2 * points.len());
        for (at, point) in points.iter().enumerate() {
            if let Some(before) = at.checked_sub(1) {
                corners.push((point.0, points[before].1));
            }
            corners.push(*point);
        }
        self.line(&corners)
    }

    /// What lies between two lines over the same places.
    pub(super) fn band(self, low: &[(f64, f64)], high: &[(f64, f64)]) -> String {
        let around: Vec<_> = high.iter().chain(low.iter().rev()).copied().collect();
        if around.is_empty() { String::new() } else { format!("{}Z", self.line(&around)) }
    }

    /// Bars of one width that begin at these places.
    pub(super) fn bars(self, width: f64, bars: &[(f64, f64)]) -> String {
        let gap = width * 0.1;
        let bar = |(x, y): &(f64, f64)| {
            let (left, right) = (x + gap, x + width - gap);
            format!("{}Z", self.line(&[(left, 0.0), (left, *y), (right, *y), (right, 0.0)]))
        };
        bars.iter().map(bar).collect()
    }

    /// A small mark at each of these places.
    pub(super) fn marks(self, points: &[(f64, f64)]) -> String {
        // A line without length: its round ends make a dot, however the picture is stretched.
        points.iter().map(|point| format!("M{}h0.01", self.place(*point))).collect()
    }
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let found = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * power >= value * 0.999);
    found.unwrap_or(10.0) * power
}

/// Spans at the ends and in the middle of an axis.
pub(super) fn spans(end: Span) -> Vec<String> {
    let at = |part: u64| format::spell(Span::from_millis(end.as_millis() / 2 * part));
    (0..=2).map(at).collect()
}

/// Values at the ends and in the middle of an axis, top to bottom.
pub(super) fn values(top: f64, show: impl Fn(f64) -> String) -> Vec<String> {
    vec![show(top), show(top / 2.0), show(0.0)]
}

/// At most as many rows as a table may have, evenly taken, the last among them.
pub(super) fn sparse<T: Clone>(rows: &[T]) -> Vec<T> {
    let step = rows.len().div_ceil(TABLE_ROWS).max(1);
    let last = rows.len().saturating_sub(1);
    let kept = rows.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(step));
    kept.map(|(_, row)| row.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, expect) in [(0.0, 1.0), (8.0, 10.0), (0.051, 0.1), (412.0, 500.0), (20.0, 20.0)]
        {
            assert!(
                (round_up(value) - expect).abs() < expect / 1e6,
                "{value}: {}",
                round_up(value)
            );
        }
    }

    #[test]
    fn curves_are_to_scale() {
        let scale = Scale::new(10.0, 100.0);
        assert_eq!(scale.line(&[(0.0, 0.0), (10.0, 100.0)]), "M0.0 300.0L1000.0 0.0");
        assert_eq!(scale.steps(&[(0.0, 0.0), (5.0, 50.0)]), "M0.0 300.0L500.0 300.0L500.0 150.0");
        assert_eq!(scale.band(&[(0.0, 0.0)], &[(0.0, 100.0)]), "M0.0 0.0L0.0 300.0Z");
        assert_eq!((scale.line(&[]), scale.band(&[], &[])), (String::new(), String::new()));
        // What lies outside stays at the edge.
        assert_eq!(scale.line(&[(20.0, 200.0)]), "M1000.0 0.0");
    }

    #[test]
    fn tables_are_short_and_end_at_the_end() {
        let rows: Vec<u32> = (0..100).collect();
        let kept = sparse(&rows);
        assert!(kept.len() <= TABLE_ROWS && kept.last() == Some(&99), "{kept:?}");
        assert_eq!(sparse::<u32>(&[]), Vec::<u32>::new());
        assert_eq!(sparse(&[1, 2]), [1, 2]);
    }
}
