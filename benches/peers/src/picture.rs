//! Cost of a look-up against the size of the table.

use std::error::Error;

use plotters::prelude::*;

use crate::cases::fdb::{SIZES, short_slots};
use crate::results::Results;

/// What is drawn: a case, what it is called, its colour, and whether its line is thin.
const LINES: [(&str, &str, RGBColor, bool); 9] = [
    ("hit/vtep", "vtep", RGBColor(200, 30, 30), false),
    ("hit-bulk/vtep", "vtep, bulk of 32", RGBColor(240, 120, 60), false),
    ("hit/hashbrown", "hashbrown + foldhash", RGBColor(30, 90, 180), false),
    ("hit/std", "std HashMap", RGBColor(90, 160, 220), false),
    ("hit/rte_hash", "DPDK rte_hash", RGBColor(30, 120, 60), false),
    ("hit-bulk/rte_hash", "DPDK rte_hash, bulk of 32", RGBColor(120, 180, 90), false),
    ("hit/heapless", "heapless FnvIndexMap", RGBColor(130, 70, 150), false),
    ("floor-line/dependent", "one cache line, dependent", RGBColor(110, 110, 110), true),
    ("floor-line/independent", "one cache line, independent", RGBColor(170, 170, 170), true),
];

pub fn draw(results: &Results, path: &str) -> Result<(), Box<dyn Error>> {
    let series = LINES.map(|(case, label, colour, thin)| {
        let points: Vec<(f64, f64)> = SIZES.iter().filter_map(|slots| point(results, *slots, case)).collect();
        (label, colour, thin, points)
    });
    let costs = series.iter().flat_map(|(.., points)| points.iter().map(|(_, cost)| *cost));
    let (low, high) = costs.fold((f64::MAX, f64::MIN), |(low, high), cost| (low.min(cost), high.max(cost)));

    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let (first, last) = (SIZES[0] as f64, SIZES[3] as f64);
    let mut chart = ChartBuilder::on(&root)
        .caption("Look-up of a MAC in a table that is 90 % full: random hits", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(45)
        .y_label_area_size(55)
        .build_cartesian_2d((first * 0.9..last * 30.0).log_scale().base(2.0), (low * 0.7..high * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("places in the table")
        .y_desc("ns a look-up, median")
        .x_label_formatter(&|x| {
            let slots = x.round() as usize;
            if slots > SIZES[3] { String::new() } else { short_slots(slots) }
        })
        .x_labels(16)
        .x_max_light_lines(0)
        .label_style(("sans-serif", 13))
        .draw()?;
    for (label, colour, thin, points) in &series {
        let style = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: if *thin { 1 } else { 2 } };
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, style)))?;
        if points.is_empty() {
            continue;
        }
        let handle = chart.draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())?;
        handle.label(*label).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .label_font(("sans-serif", 13))
        .draw()?;
    root.present()?;
    Ok(())
}

fn point(results: &Results, slots: usize, case: &str) -> Option<(f64, f64)> {
    let size = short_slots(slots);
    let cycles = results.group(&format!("fdb/{size}"))?.get(&format!("fdb/{size}/{case}"))?.median;
    Some((slots as f64, cycles / results.machine.ghz))
}
