//! A placement as a picture: how loaded the managers are, and what moves.

use super::charts::{Bars, ChartError, FONT, FONT_SIZE, INK, PAPER, Palette, Series, font};
use crate::topology::{Placement, Sum};
use plotters::prelude::*;
use std::path::Path;

/// Width and height of the picture.
const SIZE: (u32, u32) = (960, 860);
/// Height of the title, and of a legend.
const LINE: u32 = 40;

/// Draws a placement into a file, as SVG if it is named `.svg`, else as PNG.
///
/// # Errors
/// When it cannot be drawn or written.
pub fn placement(placement: &Placement, title: &str, path: &Path) -> Result<(), ChartError> {
    if path.extension().is_some_and(|extension| extension == "svg") {
        draw(placement, title, &SVGBackend::new(path, SIZE).into_drawing_area())
    } else {
        draw(placement, title, &BitMapBackend::new(path, SIZE).into_drawing_area())
    }
}

fn draw<B: DrawingBackend>(
    placement: &Placement,
    title: &str,
    root: &DrawingArea<B, plotters::coord::Shift>,
) -> Result<(), ChartError> {
    let failed = |e: &dyn std::fmt::Display| ChartError::new("placement", e.to_string());
    font().map_err(|e| failed(&e))?;
    root.fill(&PAPER).map_err(|e| failed(&e))?;
    let (head, rest) = root.split_vertically(LINE);
    write(&head, title, 20).map_err(|e| failed(&e))?;
    for (part, bars) in rest.split_evenly((2, 1)).iter().zip([loads(placement), moves(placement)]) {
        let (legend, chart) = part.split_vertically(LINE);
        let mut left = 84;
        for (series, colour) in bars.series.iter().zip(Palette::LIGHT) {
            let square = Rectangle::new([(left, 14), (left + 14, 28)], colour.filled());
            legend.draw(&square).map_err(|e| failed(&e))?;
            write(&legend, &series.name, left + 22).map_err(|e| failed(&e))?;
            // 10 pixels are a letter of this size.
            left += 60 + 10 * i32::try_from(series.name.len()).unwrap_or(0);
        }
        bars.on(&chart)?;
    }
    root.present().map_err(|e| failed(&e))
}

fn write<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    text: &str,
    left: i32,
) -> Result<(), plotters::drawing::DrawingAreaErrorKind<B::ErrorType>> {
    area.draw(&Text::new(text.to_owned(), (left, 12), (FONT, FONT_SIZE).into_font().color(&INK)))
}

/// What managers carry against the mean.
fn loads(placement: &Placement) -> Bars {
    let series = |name: &str, mean: f64, of: fn(&Sum) -> u64| Series {
        name: name.to_owned(),
        values: placement.shares.iter().map(|share| if mean > 0.0 { of(share) as f64 / mean } else { 0.0 }).collect(),
    };
    let balance = &placement.balance;
    Bars {
        name: "loads",
        title: "Load of the managers".to_owned(),
        note: "1 is the mean.",
        groups_are: "manager",
        groups: (0..placement.shares.len()).map(|shard| shard.to_string()).collect(),
        unit: "against the mean",
        series: vec![
            series("clusters", balance.clusters.mean, |share| share.clusters),
            series("apps", balance.apps.mean, |share| share.apps),
            series("cost", balance.cost.mean, |share| share.cost),
        ],
    }
}

/// Clusters that change their manager.
fn moves(placement: &Placement) -> Bars {
    let series = |name: &str, of: fn(&crate::topology::Moves) -> u64| Series {
        name: name.to_owned(),
        values: placement.moves.iter().map(|(_, moves)| of(moves) as f64).collect(),
    };
    Bars {
        name: "moves",
        title: "Moves".to_owned(),
        note: "Clusters with another manager after the change.",
        groups_are: "change",
        groups: placement.moves.iter().map(|(event, _)| event.to_string()).collect(),
        unit: "clusters",
        series: vec![
            series("moved", |moves| moves.clusters),
            series("of these between managers that stay", |moves| moves.sideways),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scheme;
    use crate::topology::{Event, Member, Rules, place};

    #[test]
    fn a_placement_is_drawn_in_both_forms() {
        let members: Vec<_> = (0..200).map(|n| Member::new(format!("id-{n}"), n % 5)).collect();
        let placed = place(&members, Rules::plain(Scheme::RoundRobin, 7), &[Event::More(1), Event::ClusterLeaves]);
        let folder = tempfile::tempdir().unwrap();
        let beginning = |name: &str| {
            let path = folder.path().join(name);
            placement(&placed, "200 clusters", &path).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(beginning("a.png").starts_with(b"\x89PNG"));
        let svg = String::from_utf8(beginning("a.svg")).unwrap();
        // 7 managers x 3 loads, 2 changes x 2 kinds of moves, 5 squares of legends, the paper.
        assert_eq!(svg.matches("<rect").count(), 7 * 3 + 2 * 2 + 5 + 1, "{svg}");
        assert!(svg.contains("-cluster") && svg.contains("200 clusters"));
    }
}
