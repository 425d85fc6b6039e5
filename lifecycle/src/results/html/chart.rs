//! The frame that every chart over time or latency is drawn in: scales, grid, labels, and the bands behind the data.
//!
//! Charts are drawn here, on the server: they need no script, print as they look, and scale without loss.

use std::fmt::Write as _;

use super::markup::text;

/// The width of every chart, in units of its own view box.
pub const WIDTH: f64 = 1000.0;
/// Where the data begins.
pub const LEFT: f64 = 62.0;
/// Where the data ends.
pub const RIGHT: f64 = 988.0;

/// Maps values onto a line of the drawing, evenly or by their logarithms.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Scale {
    /// Values from `from` to `to` drawn from `start` to `end`.
    pub fn even(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self { from, to: if to > from { to } else { from + 1.0 }, start, end, logarithmic: false }
    }

    /// The same by logarithms; values are above zero.
    pub fn logarithmic(from: f64, to: f64, start: f64, end: f64) -> Self {
        let from = from.max(f64::MIN_POSITIVE);
        Self { from, to: if to > from { to } else { from * 2.0 }, start, end, logarithmic: true }
    }

    /// Where a value is drawn; at the end of the line where it is beyond.
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0)
    }

    /// Values that are worth a line of the grid, with their labels by `name`.
    pub fn ticks(&self, most: usize, name: impl Fn(f64) -> String) -> Vec<(f64, String)> {
        let values = if self.logarithmic { decades(self.from, self.to, most) } else { even_steps(self.from, self.to, most) };
        values.into_iter().map(|value| (value, name(value))).collect()
    }
}

/// 1, 2 and 5 of each power of ten; only the powers where those would be too many.
fn decades(from: f64, to: f64, most: usize) -> Vec<f64> {
    let within = |factors: &[f64]| -> Vec<f64> {
        let powers = (from.log10().floor().max(-300.0)..=to.log10().ceil().min(300.0)).map_steps();
        powers
            .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powf(power)))
            .filter(|value| (from * 0.999..=to * 1.001).contains(value))
            .collect()
    };
    [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].into_iter().map(within).find(|values| values.len() <= most).unwrap_or_default()
}

/// A range of whole floating point numbers, one by one.
trait Steps {
    fn map_steps(self) -> impl Iterator<Item = f64>;
}

impl Steps for std::ops::RangeInclusive<f64> {
    fn map_steps(self) -> impl Iterator<Item = f64> {
        let (start, end) = self.into_inner();
        std::iter::successors(Some(start), |power| Some(power + 1.0)).take_while(move |power| *power <= end)
    }
}

fn even_steps(from: f64, to: f64, most: usize) -> Vec<f64> {
    let least = (to - from) / f64::from(u32::try_from(most.max(1)).unwrap_or(u32::MAX));
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * 0.999).unwrap_or(least);
    std::iter::successors(Some((from / step).ceil() * step), |value| Some(value + step)).take_while(|value| *value <= to + step * 1e-6).take(64).collect()
}

/// Steps of time that people count in, in seconds.
const TIME_STEPS: [u32; 17] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];

/// Instants that are worth a line of the grid, with their labels: `1:30` after the start.
pub fn time_ticks(seconds: f64) -> Vec<(f64, String)> {
    let step = TIME_STEPS.into_iter().find(|step| seconds / f64::from(*step) <= 10.0).unwrap_or(43_200);
    let ticks = std::iter::successors(Some(0_u32), |at| at.checked_add(step)).take_while(|at| f64::from(*at) <= seconds + 0.001);
    ticks.map(|at| (f64::from(at), clock(u64::from(at)))).collect()
}

/// An instant after the start: `42 s`, `1:30`, `1:02:03`.
pub fn clock(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// A latency on an axis, in microseconds: `500 µs`, `20 ms`, `1.5 s`.
pub fn latency_label(micros: f64) -> String {
    match micros {
        small if small < 1e3 => format!("{} µs", plain(small)),
        middle if middle < 1e6 => format!("{} ms", plain(middle / 1e3)),
        large => format!("{} s", plain(large / 1e6)),
    }
}

/// A number without needless zeros; thousands and millions are abbreviated.
pub fn plain(value: f64) -> String {
    let (value, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, " M"),
        large if large >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = format!("{value:.2}");
    format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// A stretch of time that is marked behind the data.
pub struct Band {
    /// Where it begins, in seconds.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What it is called.
    pub name: String,
    /// Whether it is shaded; an edge is drawn in any case.
    pub shaded: bool,
}

/// A time in which something was broken, drawn over the data.
pub struct Stretch {
    /// Where it begins, in seconds.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What was broken.
    pub name: String,
}

/// A drawing in the making.
pub struct Chart {
    out: String,
    top: f64,
    bottom: f64,
}

impl Chart {
    /// A drawing of this height, with its data between `top` and `bottom`. Title and description are read out to whoever cannot see it.
    pub fn new(id: &str, title: &str, description: &str, height: f64, top: f64, bottom: f64) -> Self {
        let out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n",
            text(title),
            text(description)
        );
        Self { out, top, bottom }
    }

    /// Adds markup of ours.
    pub fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// Lines across the data, with labels at their left.
    pub fn horizontal_grid(&mut self, scale: &Scale, ticks: &[(f64, String)]) {
        for (value, name) in ticks {
            let y = scale.at(*value);
            let _ = writeln!(
                self.out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                text(name)
            );
        }
    }

    /// Marks along the lower edge, with labels below them.
    pub fn lower_axis(&mut self, scale: &Scale, ticks: &[(f64, String)]) {
        let _ = write!(self.out, "<path class=\"axis\" d=\"M{LEFT} {0:.1}H{RIGHT}\"/>", self.bottom);
        for (value, name) in ticks {
            let x = scale.at(*value);
            // A label near an end is turned inwards, so that nothing of it is cut off.
            let anchor = if x > RIGHT - 20.0 { "end" } else { "middle" };
            let _ = writeln!(
                self.out,
                "<path class=\"axis\" d=\"M{x:.1} {:.1}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                self.bottom,
                self.bottom + 18.0,
                text(name)
            );
        }
    }

    /// Marks stretches of time; their names stand above the data where there is room for them.
    pub fn bands(&mut self, scale: &Scale, bands: &[Band], named: bool) {
        for Band { from, to, name, shaded } in bands {
            let (left, right) = (scale.at(*from), scale.at(*to));
            let (top, height) = (self.top, self.bottom - self.top);
            if *shaded {
                let _ = write!(self.out, "<rect class=\"band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>", right - left);
            }
            if *from > 0.0 {
                let _ = write!(self.out, "<path class=\"edge\" d=\"M{left:.1} {:.1}V{:.1}\"/>", top - if named { 18.0 } else { 0.0 }, self.bottom);
            }
            let room = ((right - left) / 7.2).floor();
            if named && room >= 3.0 {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred characters at most")]
                let name = super::markup::shortened(name, room as usize);
                let _ = writeln!(self.out, "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", left + 5.0, top - 7.0, text(&name));
            }
        }
    }

    /// Marks the times in which something was broken, over the data: what happened then is what people look for.
    pub fn broken(&mut self, scale: &Scale, stretches: &[Stretch], named: bool) {
        for (index, Stretch { from, to, name }) in stretches.iter().enumerate() {
            // What is over at once still leaves a mark.
            let (left, right) = (scale.at(*from), scale.at(*to).max(scale.at(*from) + 2.0));
            let (top, bottom) = (self.top, self.bottom);
            let _ = writeln!(
                self.out,
                "<rect class=\"fault\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/><path class=\"fault-edge\" d=\"M{left:.1} {top:.1}V{bottom:.1}M{right:.1} {top:.1}V{bottom:.1}\"/>",
                right - left,
                bottom - top
            );
            if named {
                // Beside the edge that leaves more room, and each a line lower than the one before.
                let (x, anchor) = if left < WIDTH * 0.7 { (right + 5.0, "start") } else { (left - 5.0, "end") };
                let y = top + 13.0 + 14.0 * f64::from(u8::try_from(index % 4).unwrap_or(0));
                let name = super::markup::shortened(name, 40);
                let _ = writeln!(self.out, "<text class=\"fault-name\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", text(&name));
            }
        }
    }

    /// A dashed line across the data for a limit, with its name at the right.
    pub fn limit(&mut self, y: f64, name: &str) {
        let _ = writeln!(
            self.out,
            "<path class=\"limit\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text class=\"limit-name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            RIGHT - 4.0,
            y - 5.0,
            text(name)
        );
    }

    /// A line through points, set off from whatever lies under it.
    pub fn trace_over(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        let begin = self.out.len();
        self.trace(class, points.iter().copied());
        let line = self.out.split_off(begin);
        self.out.push_str(&line.replace(&format!("trace {class}"), "halo"));
        self.out.push_str(&line);
    }

    /// A line through points; a missing one interrupts it.
    pub fn trace(&mut self, class: &str, points: impl IntoIterator<Item = Option<(f64, f64)>>) {
        let mut path = String::new();
        let mut pen_down = false;
        for point in points {
            if let Some((x, y)) = point {
                let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { "L" } else { "M" });
            }
            // A single point between two gaps is drawn as a dot, by a stroke of no length with round ends.
            if let (Some((x, y)), false) = (point, pen_down) {
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
            pen_down = point.is_some();
        }
        if !path.is_empty() {
            let _ = writeln!(self.out, "<path class=\"trace {class}\" stroke-linecap=\"round\" d=\"{path}\"/>");
        }
    }

    /// The finished drawing.
    pub fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// What the lines and colours of a chart stand for: each with the drawing that shows it, as markup.
pub fn key(entries: &[(String, String)]) -> String {
    let items = entries.iter().map(|(sample, name)| format!("<li><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">{sample}</svg>{}</li>", text(name)));
    format!("<ul class=\"key\">{}</ul>\n", items.collect::<String>())
}

/// A sample of a line for the key.
pub fn line_sample(class: &str) -> String {
    format!("<path class=\"trace {class}\" d=\"M1 6H25\"/>")
}

/// A sample of a colour for the key.
pub fn colour_sample(class: &str) -> String {
    format!("<rect class=\"{class}\" x=\"6\" width=\"14\" height=\"12\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_map_their_ends_and_hold_what_is_beyond() {
        let even = Scale::even(0.0, 10.0, 100.0, 200.0);
        assert_eq!([0.0, 5.0, 10.0, 99.0, -1.0].map(|value| plain(even.at(value))), ["100", "150", "200", "200", "100"]);
        let logarithmic = Scale::logarithmic(100.0, 10_000.0, 300.0, 0.0);
        assert_eq!([100.0, 1000.0, 10_000.0, 0.0].map(|value| plain(logarithmic.at(value))), ["300", "150", "0", "300"]);
        assert!(Scale::even(3.0, 3.0, 0.0, 1.0).at(3.0).is_finite() && Scale::logarithmic(0.0, 0.0, 0.0, 1.0).at(1.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_not_too_many() {
        let labels = |scale: Scale, most| scale.ticks(most, plain).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(labels(Scale::even(0.0, 5200.0, 0.0, 1.0), 5), ["0", "2000", "4000"]);
        assert_eq!(labels(Scale::logarithmic(80.0, 2500.0, 0.0, 1.0), 6), ["100", "200", "500", "1000", "2000"]);
        assert_eq!(labels(Scale::logarithmic(1.0, 1e9, 0.0, 1.0), 10).len(), 10);
        let times = |seconds| time_ticks(seconds).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(times(12.0), ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s"]);
        assert_eq!(times(7000.0).last().map(String::as_str), Some("1:45:00"));
        assert!(time_ticks(86_400.0).len() <= 11);
    }

    #[test]
    fn latencies_have_the_unit_that_fits() {
        assert_eq!([500.0, 20_000.0, 1_500_000.0].map(latency_label), ["500 µs", "20 ms", "1.5 s"]);
    }

    #[test]
    fn a_gap_interrupts_a_line() {
        let mut chart = Chart::new("x", "t", "d", 10.0, 0.0, 10.0);
        chart.trace("p50", [Some((1.0, 2.0)), Some((2.0, 3.0)), None, Some((4.0, 5.0))]);
        assert!(chart.finish().contains("d=\"M1.0 2.0L1.0 2.0L2.0 3.0M4.0 5.0L4.0 5.0\""));
    }
}
