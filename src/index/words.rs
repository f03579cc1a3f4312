//! What tantivy holds, as one state's readers see it: word search, stored chunks and texts, the catalog's entries.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::columnar::Column;
use tantivy::postings::Postings;
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight, BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, Score, Searcher, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::catalog::{Allowed, document_of, key_of};
use super::fuse::best_first;
use super::query::{READ, Vocabulary};
use super::schema::{Fields, KEY, META, Meta, PART};
use super::wanted::{Form, Wanted};
use super::{TermShare, TermWeight};
use crate::domain::Ranked;

/// Readers of one commit.
pub(super) struct Words {
    searcher: Searcher,
    fields: Fields,
    /// Keys of chunks, by segment; none where a segment holds no chunks.
    keys: Vec<Option<Column<u64>>>,
    chunks: u64,
    tokens: u64,
}

impl Words {
    /// Prepares the readers of a commit.
    pub fn new(searcher: Searcher, fields: Fields) -> tantivy::Result<Self> {
        let segments = searcher.segment_readers();
        let keys: Vec<Option<Column<u64>>> =
            segments.iter().map(|segment| segment.fast_fields().column_opt(KEY)).collect::<tantivy::Result<_>>()?;
        let chunks = keys.iter().flatten().map(|keys| u64::from(keys.values.num_vals())).sum();
        let tokens = total_tokens(&searcher, fields.body)?;
        Ok(Self { searcher, fields, keys, chunks, tokens })
    }

    /// Whether each segment with chunks is as long as the commit record says.
    pub fn is_whole(&self) -> bool {
        let mut segments = self.searcher.segment_readers().iter().zip(&self.keys);
        segments.all(|(segment, keys)| keys.as_ref().is_none_or(|keys| keys.num_docs() == segment.max_doc()))
    }

    /// The entries of all documents, in no order.
    ///
    /// # Errors
    /// When the column cannot be read; `InvalidData` when what stands there is no entry.
    pub fn entries(&self) -> tantivy::Result<Vec<Meta>> {
        let mut entries = Vec::new();
        for segment in self.searcher.segment_readers() {
            read_entries(segment, &mut entries)?;
        }
        Ok(entries)
    }

    /// The `depth` best chunks by BM25 (k1 1.2, b 0.75) of any of these terms, which count as often as they are named;
    /// best first. The forms of one word are as rare as all of them together: else one that few chunks have, since few are
    /// in its language, would outweigh all other words.
    pub fn search(&self, terms: &Wanted, allowed: Option<Arc<Allowed>>, depth: usize) -> tantivy::Result<Vec<Ranked>> {
        let depth = depth.min(usize::try_from(self.chunks).unwrap_or(usize::MAX));
        if depth == 0 || terms.is_empty() {
            return Ok(Vec::new());
        }
        let clauses =
            terms.iter().map(|(term, form)| (Occur::Should, self.clause(term, form.weight * counted(form.times))));
        let query = BooleanQuery::new(clauses.collect());
        let best = TopDocs::with_limit(depth).order_by_score();
        let counts = Counts { words: self, terms };
        let found = match allowed {
            None => self.searcher.search_with_statistics_provider(&query, &best, &counts)?,
            Some(allowed) => {
                let may = move |key: u64| allowed.numbers.contains(document_of(key));
                let best = FilterCollector::new(KEY.to_owned(), may, best);
                self.searcher.search_with_statistics_provider(&query, &best, &counts)?
            }
        };
        let mut hits: Vec<Ranked> = found.into_iter().filter_map(|(score, at)| self.ranked(score, at)).collect();
        best_first(&mut hits);
        Ok(hits)
    }

    /// What each of these terms weighs, whatever chunk it stands in.
    pub fn weights(&self, terms: &Wanted) -> tantivy::Result<Vec<TermWeight>> {
        let counts = Counts { words: self, terms };
        let weight = |(term, form): (&String, &Form)| {
            let chunks = counts.doc_freq(&Term::from_field_text(self.fields.body, term))?;
            let idf = idf(chunks, self.chunks);
            Ok(TermWeight { term: term.clone(), times: form.times, weight: form.weight, chunks, idf })
        };
        terms.iter().map(weight).collect()
    }

    /// What each of these terms adds to the score that [`Words::search`] gives chunk `key`; those that do not stand in it
    /// are left out.
    pub fn shares(&self, weights: &[TermWeight], key: u64) -> tantivy::Result<Vec<TermShare>> {
        let Some(at) = self.address(self.fields.key, key)? else { return Ok(Vec::new()) };
        let segment = self.searcher.segment_reader(at.segment_ord);
        let length = segment.get_fieldnorms_reader(self.fields.body)?.fieldnorm_id(at.doc_id);
        let inverted = segment.inverted_index(self.fields.body)?;
        let mut shares = Vec::new();
        for weight in weights {
            let term = Term::from_field_text(self.fields.body, &weight.term);
            let Some(mut found) = inverted.read_postings(&term, IndexRecordOption::WithFreqs)? else { continue };
            if found.doc() > at.doc_id || found.seek(at.doc_id) != at.doc_id {
                continue;
            }
            let frequency = found.term_freq();
            let one = Bm25Weight::for_one_term_without_explain(weight.chunks, self.chunks, self.average());
            let score = one.boost_by(weight.weight * counted(weight.times)).score(length, frequency);
            shares.push(TermShare { term: weight.term.clone(), idf: weight.idf, frequency, score });
        }
        Ok(shares)
    }

    /// Words of a chunk on average.
    #[expect(clippy::cast_precision_loss, reason = "as the engine itself divides")]
    fn average(&self) -> Score {
        self.tokens as Score / self.chunks as Score
    }

    fn clause(&self, term: &str, weight: Score) -> Box<dyn Query> {
        let term = TermQuery::new(Term::from_field_text(self.fields.body, term), IndexRecordOption::WithFreqs);
        // A plain term is searched faster than one with a boost of 1.
        if weight.to_bits() == Score::to_bits(1.0) {
            Box::new(term)
        } else {
            Box::new(BoostQuery::new(Box::new(term), weight))
        }
    }

    fn ranked(&self, score: Score, at: DocAddress) -> Option<Ranked> {
        let keys = self.keys.get(at.segment_ord as usize)?.as_ref()?;
        Some(Ranked { key: keys.first(at.doc_id)?, score })
    }

    /// The stored chunk of `key`.
    pub fn chunk(&self, key: u64) -> tantivy::Result<Option<TantivyDocument>> {
        self.find(self.fields.key, key)
    }

    /// The text of document `number`.
    pub fn text(&self, number: u64) -> tantivy::Result<String> {
        let mut text = Vec::new();
        for place in 0.. {
            let Some(stored) = self.find(self.fields.part, key_of(number, place))? else { break };
            text.extend_from_slice(self.fields.part(&stored).unwrap_or_default());
        }
        String::from_utf8(text).map_err(|_| std::io::Error::from(ErrorKind::InvalidData).into())
    }

    /// Bytes `range` of the text of document `number`, without reading the rest; none when it ends before them, or they
    /// cut a character.
    pub fn text_at(&self, number: u64, range: Range<usize>) -> tantivy::Result<Option<String>> {
        let (first, last) = (range.start / PART, range.end.saturating_sub(1) / PART);
        let mut text = Vec::with_capacity(range.len());
        for place in first..=last {
            let key = key_of(number, u32::try_from(place).unwrap_or(u32::MAX));
            let Some(stored) = self.find(self.fields.part, key)? else { break };
            text.extend_from_slice(self.fields.part(&stored).unwrap_or_default());
        }
        let (start, end) = (range.start - first * PART, range.end.saturating_sub(first * PART));
        let found = text.get(start..end).map(<[u8]>::to_vec);
        Ok(found.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// The one document whose `field` is `value`.
    fn find(&self, field: Field, value: u64) -> tantivy::Result<Option<TantivyDocument>> {
        self.address(field, value)?.map(|at| self.searcher.doc(at)).transpose()
    }

    /// Where the one document stands whose `field` is `value`.
    fn address(&self, field: Field, value: u64) -> tantivy::Result<Option<DocAddress>> {
        let term = Term::from_field_u64(field, value);
        for (place, segment) in (0..).zip(self.searcher.segment_readers()) {
            let Some(mut found) = segment.inverted_index(field)?.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            while found.doc() != TERMINATED {
                if !segment.is_deleted(found.doc()) {
                    return Ok(Some(DocAddress::new(place, found.doc())));
                }
                found.advance();
            }
        }
        Ok(None)
    }
}

impl Vocabulary for Words {
    fn chunks_with(&self, term: &str) -> tantivy::Result<u64> {
        self.searcher.doc_freq(&Term::from_field_text(self.fields.body, term))
    }

    fn beginning_with(&self, begin: &str) -> tantivy::Result<Vec<(String, u64)>> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            let inverted = segment.inverted_index(self.fields.body)?;
            let mut terms = inverted.terms().range().ge(begin).into_stream()?;
            let mut read = 0;
            while read < READ && terms.advance() {
                read += 1;
                let Some(term) = std::str::from_utf8(terms.key()).ok().filter(|term| term.starts_with(begin)) else {
                    break;
                };
                *found.entry(term.to_owned()).or_default() += u64::from(terms.value().doc_freq);
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// What BM25 counts for these terms.
struct Counts<'a> {
    words: &'a Words,
    terms: &'a Wanted,
}

/// Chunks alone are counted: tantivy's own count would take parts of texts for chunks without words, and so halve the
/// average length. Deleted chunks count until a merge drops them, in all figures alike.
impl Bm25StatisticsProvider for Counts<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.words.tokens)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.words.chunks)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let searcher = &self.words.searcher;
        let value = term.value();
        let others = self.terms.others(value.as_str().unwrap_or_default());
        let others = others.map(|other| searcher.doc_freq(&Term::from_field_text(term.field(), other)));
        let all: u64 = others.sum::<tantivy::Result<u64>>()? + searcher.doc_freq(term)?;
        Ok(all.min(self.words.chunks))
    }
}

/// How often a question names a term, as the weight that this gives it.
#[expect(clippy::cast_precision_loss, reason = "a question has few words")]
fn counted(times: u32) -> Score {
    times as Score
}

/// How rare a term is that stands in `with` of `all` chunks: BM25's own measure (Robertson and Zaragoza 2009), never below 0.
#[expect(clippy::cast_precision_loss, reason = "as the engine itself counts")]
fn idf(with: u64, all: u64) -> Score {
    (1.0 + (all.saturating_sub(with) as Score + 0.5) / (with as Score + 0.5)).ln()
}

fn total_tokens(searcher: &Searcher, body: Field) -> tantivy::Result<u64> {
    let of_segment = |segment: &SegmentReader| Ok(segment.inverted_index(body)?.total_num_tokens());
    searcher.segment_readers().iter().map(of_segment).sum()
}

fn read_entries(segment: &SegmentReader, entries: &mut Vec<Meta>) -> tantivy::Result<()> {
    let Some(column) = segment.fast_fields().str(META)? else { return Ok(()) };
    let mut ords: Vec<u64> = segment.doc_ids_alive().flat_map(|doc| column.term_ords(doc)).collect();
    ords.sort_unstable();
    let mut bad = None;
    let whole = column.dictionary().sorted_ords_to_term_cb(&ords, |json| match serde_json::from_slice(json) {
        Ok(meta) => entries.push(meta),
        Err(error) => bad = Some(error),
    })?;
    match bad {
        Some(error) => Err(std::io::Error::from(error).into()),
        None if !whole => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        None => Ok(()),
    }
}
