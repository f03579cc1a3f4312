//! Charts of Office's formats: their titles, and the numbers behind them as tables.

use std::collections::BTreeMap;

use super::cells::number;
use super::xml::{Element, Visitor, walk};
use crate::ingest::ExtractError;
use crate::ingest::draft::Draft;

/// Writes a chart's part.
pub(super) fn read(xml: &str, draft: &mut Draft) -> Result<(), ExtractError> {
    let mut chart = Chart::default();
    walk(xml, &mut chart)?;
    chart.write(draft);
    Ok(())
}

#[derive(Default)]
struct Chart {
    /// Titles of the chart and its axes.
    titles: Vec<String>,
    series: Vec<Series>,
    /// What the open element says of the last series.
    role: Option<Role>,
    /// Which of its points is open.
    point: usize,
    in_text: bool,
    in_title: bool,
    /// How many labels of single points are open; they repeat what is in the table.
    labels: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Name,
    Category,
    Value,
}

/// What one line, or one colour of bars, shows.
#[derive(Default)]
struct Series {
    name: String,
    categories: BTreeMap<usize, String>,
    values: BTreeMap<usize, String>,
}

impl Chart {
    fn write(&self, draft: &mut Draft) {
        draft.end_block();
        for title in &self.titles {
            draft.paragraph(title);
        }
        // Series over the same categories, or over none of their own, share a table.
        for alike in self.series.chunk_by(|one, other| {
            other.categories.is_empty() || one.categories.is_empty() || one.categories == other.categories
        }) {
            draft.table(&rows(alike));
        }
    }

    /// Parts words from those before them: lines of a title, and categories of several levels.
    fn part(&mut self) {
        if let Some(words) = self.place().filter(|words| !words.is_empty()) {
            words.push(' ');
        }
    }

    /// Where the words that come now belong.
    fn place(&mut self) -> Option<&mut String> {
        if self.in_title {
            return self.titles.last_mut();
        }
        let (Some(role), 0) = (self.role, self.labels) else { return None };
        let series = self.series.last_mut()?;
        Some(match role {
            Role::Name => &mut series.name,
            Role::Category => series.categories.entry(self.point).or_default(),
            Role::Value => series.values.entry(self.point).or_default(),
        })
    }
}

/// A row a category, a column a series, under their names.
fn rows(series: &[Series]) -> Vec<Vec<String>> {
    let mut categories: BTreeMap<usize, &str> = BTreeMap::new();
    for one in series {
        for &point in one.values.keys() {
            categories.entry(point).or_default();
        }
        categories.extend(one.categories.iter().map(|(point, name)| (*point, name.as_str())));
    }
    let names = series.iter().map(|series| series.name.clone());
    let head: Vec<String> = [String::new()].into_iter().chain(names).collect();
    let row = |(point, category): (usize, &str)| {
        let value = |series: &Series| series.values.get(&point).map_or_else(String::new, |value| number(value));
        [category.to_owned()].into_iter().chain(series.iter().map(value)).collect()
    };
    [head].into_iter().chain(categories.into_iter().map(row)).collect()
}

impl Visitor for Chart {
    fn open(&mut self, element: &Element) {
        let in_series = !self.in_title && !self.series.is_empty();
        match element.name() {
            "title" => {
                self.in_title = true;
                self.titles.push(String::new());
            }
            "ser" => self.series.push(Series::default()),
            "dLbls" | "trendline" => self.labels += 1,
            "tx" if in_series => self.role = Some(Role::Name),
            "cat" | "xVal" if in_series => self.role = Some(Role::Category),
            "val" | "yVal" if in_series => self.role = Some(Role::Value),
            "pt" => {
                let told = element.attribute("idx").and_then(|index| index.parse().ok());
                self.point = told.unwrap_or(self.point + 1);
                self.part();
            }
            "p" => self.part(),
            "t" | "v" => self.in_text = true,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "title" => self.in_title = false,
            "tx" | "cat" | "xVal" | "val" | "yVal" => self.role = None,
            "dLbls" | "trendline" => self.labels = self.labels.saturating_sub(1),
            "t" | "v" => self.in_text = false,
            _ => {}
        }
    }

    fn words(&mut self, words: &str) {
        if self.in_text
            && let Some(place) = self.place()
        {
            place.push_str(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(xml: &str) -> String {
        let mut draft = Draft::new(1 << 20);
        read(xml, &mut draft).unwrap();
        draft.finish("xlsx").unwrap().text
    }

    fn points(values: &[&str]) -> String {
        let point = |(at, value)| format!("<c:pt idx='{at}'><c:v>{value}</c:v></c:pt>");
        values.iter().enumerate().map(point).collect::<Vec<_>>().concat()
    }

    fn series(name: &str, categories: &[&str], values: &[&str]) -> String {
        let (categories, values) = (points(categories), points(values));
        format!(
            "<c:ser><c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>{name}</c:v></c:pt></c:strCache></c:strRef></c:tx>\
            <c:dLbls><c:dLbl><c:tx><a:p><a:t>label</a:t></a:p></c:tx></c:dLbl></c:dLbls>\
            <c:cat><c:strRef><c:strCache>{categories}</c:strCache></c:strRef></c:cat>\
            <c:val><c:numRef><c:numCache>{values}</c:numCache></c:numRef></c:val></c:ser>"
        )
    }

    #[test]
    fn a_chart_is_its_titles_and_a_table_of_its_numbers() {
        let title =
            |words: &str| format!("<c:title><c:tx><c:rich><a:p><a:t>{words}</a:t></a:p></c:rich></c:tx></c:title>");
        let years = ["2019", "2020"];
        let bars = series("Fresh", &years, &["120", "0.30000000000000004"]) + &series("Salt", &years, &["80"]);
        let xml = format!("<x>{}{bars}<c:valAx>{}</c:valAx></x>", title("Ducks"), title("Number"));
        assert_eq!(chart(&xml), "Ducks\n\nNumber\n\n | Fresh | Salt\n2019 | 120 | 80\n2020 | 0.3");
    }

    #[test]
    fn series_over_other_categories_have_a_table_of_their_own() {
        let xml = format!("<x>{}{}</x>", series("A", &["x"], &["1"]), series("B", &["y"], &["2"]));
        assert_eq!(chart(&xml), " | A\nx | 1\n\n | B\ny | 2");
    }
}
