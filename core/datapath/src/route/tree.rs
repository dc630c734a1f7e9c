//! Which HTTP binding a path and an HTTP method select.
//!
//! A trie over segments. At each node a literal child is tried before `*`, and `*` before `**`; what is more literal
//! further left wins, as in ESP. A template's rest after `**` has a fixed length, so it is compared with the path's last
//! segments and needs no search. Each node stands for one prefix of some template and is visited at most once per
//! look-up: the cost is bounded by the path's length times the templates that share its beginning, whatever the path.
//!
//! A trailing slash is ignored. HEAD is served by a binding of GET where it has none of its own (RFC 9110 section 9.3.2). `:verb` is cut from the last segment only where some template has that verb; if no
//! template with the verb matches, the whole segment is tried.

use super::path::percent_decode;
use super::template::{Segment, Template, Variable};
use std::borrow::Cow;

/// Immutable once all bindings are in.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    bindings: Vec<Entry>,
    verbs: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct Entry {
    template: Template,
    text: Box<str>,
}

#[derive(Debug, Default)]
struct Node {
    literals: Vec<(Box<[u8]>, usize)>,
    single: Option<usize>,
    /// Templates that go on with `**` here, those with the longest rest first.
    tails: Vec<Tail>,
    ends: Vec<End>,
}

#[derive(Debug)]
struct Tail {
    rest: Vec<Segment>,
    end: End,
}

/// The bindings of one template shape, by HTTP method.
#[derive(Debug, Default)]
struct End {
    verb: Option<Box<[u8]>>,
    methods: Vec<(Box<[u8]>, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Find<'t, 'p> {
    Match(Match<'p>),
    /// The path is known, the HTTP method is not (405).
    WrongMethod {
        template: &'t str,
        /// For the `Allow` header.
        allowed: Vec<&'t [u8]>,
    },
    None,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Match<'p> {
    /// As given to [`Tree::insert`].
    pub binding: usize,
    /// The values of the template's variables, in its order. Captures of one `*` are decoded in full; of the others
    /// the characters that RFC 6570 reserves stay encoded, so that `%2F` differs from a separator.
    pub captures: Vec<Cow<'p, [u8]>>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { nodes: vec![Node::default()], bindings: Vec::new(), verbs: Vec::new() }
    }
}

impl Tree {
    /// Adds the next binding; its index is the number of bindings before it.
    ///
    /// Errors with the binding that has the same HTTP method and a template of the same shape.
    pub fn insert(&mut self, method: &str, template: Template) -> Result<usize, usize> {
        let index = self.bindings.len();
        let multi = template.segments.iter().position(|segment| *segment == Segment::Multi);
        let (before, rest) = template.segments.split_at(multi.unwrap_or(template.segments.len()));
        let node = self.descend(before);
        let verb = template.verb.as_ref().map(|verb| verb.as_bytes().into());
        let end = match rest.split_first() {
            None => find_or_add(&mut node.ends, |end| end.verb == verb, || End { verb: verb.clone(), methods: vec![] }),
            Some((_, rest)) => {
                let tail = find_or_add(
                    &mut node.tails,
                    |tail| tail.rest == rest && tail.end.verb == verb,
                    || Tail { rest: rest.to_vec(), end: End { verb: verb.clone(), methods: vec![] } },
                );
                &mut tail.end
            }
        };
        if let Some((_, other)) = end.methods.iter().find(|(name, _)| **name == *method.as_bytes()) {
            return Err(*other);
        }
        end.methods.push((method.as_bytes().into(), index));
        let literals = |tail: &Tail| tail.rest.iter().filter(|segment| **segment != Segment::Single).count();
        node.tails.sort_by_key(|tail| std::cmp::Reverse((tail.rest.len(), literals(tail))));
        if let Some(verb) = verb
            && !self.verbs.contains(&verb)
        {
            self.verbs.push(verb);
        }
        let text = template.to_string().into();
        self.bindings.push(Entry { template, text });
        Ok(index)
    }

    /// Finds the binding for an HTTP method and a path in normal form.
    pub fn find<'t, 'p>(&'t self, method: &[u8], path: &'p [u8]) -> Find<'t, 'p> {
        let Some(path) = path.strip_prefix(b"/") else { return Find::None };
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut wrong = None;
        if let Some((stem, verb)) = self.split_verb(path) {
            let search = Search { tree: self, method, verb: Some(verb) };
            if let Some(binding) = search.node(0, Some(stem), &mut wrong) {
                return Find::Match(self.capture(binding, stem));
            }
        }
        let search = Search { tree: self, method, verb: None };
        let whole = (!path.is_empty()).then_some(path);
        match search.node(0, whole, &mut wrong) {
            Some(binding) => Find::Match(self.capture(binding, path)),
            None => match wrong.and_then(|end: &End| Some((end, self.bindings.get(end.methods.first()?.1)?))) {
                Some((end, entry)) => Find::WrongMethod {
                    template: &entry.text,
                    allowed: end.methods.iter().map(|(name, _)| &**name).collect(),
                },
                None => Find::None,
            },
        }
    }

    fn descend(&mut self, segments: &[Segment]) -> &mut Node {
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match segment {
                Segment::Literal(text) => {
                    let key = text.as_bytes();
                    match node.literals.binary_search_by(|(name, _)| (**name).cmp(key)) {
                        Ok(found) => node.literals[found].1,
                        Err(place) => {
                            node.literals.insert(place, (key.into(), next));
                            next
                        }
                    }
                }
                Segment::Single | Segment::Multi => *node.single.get_or_insert(next),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        &mut self.nodes[at]
    }

    /// (`a/b`, `verb`) of `a/b:verb` where some template has the verb.
    fn split_verb<'p>(&self, path: &'p [u8]) -> Option<(&'p [u8], &'p [u8])> {
        if self.verbs.is_empty() {
            return None;
        }
        let place = path.iter().rposition(|&byte| matches!(byte, b':' | b'/'))?;
        let (stem, verb) = (path.get(..place)?, path.get(place + 1..)?);
        let cut = path.get(place) == Some(&b':') && !stem.is_empty() && !stem.ends_with(b"/");
        (cut && self.verbs.iter().any(|known| **known == *verb)).then_some((stem, verb))
    }

    fn capture<'p>(&self, binding: usize, path: &'p [u8]) -> Match<'p> {
        let captures = match self.bindings.get(binding) {
            Some(entry) => entry.template.variables.iter().map(|variable| capture(entry, variable, path)).collect(),
            None => Vec::new(),
        };
        Match { binding, captures }
    }
}

struct Search<'t, 'm> {
    tree: &'t Tree,
    method: &'m [u8],
    verb: Option<&'m [u8]>,
}

impl<'t> Search<'t, '_> {
    /// `rest`: the segments that are left, None when there are no more.
    fn node(&self, index: usize, rest: Option<&[u8]>, wrong: &mut Option<&'t End>) -> Option<usize> {
        let node = self.tree.nodes.get(index)?;
        let Some(text) = rest else {
            let end = node.ends.iter().find_map(|end| self.end(end, wrong));
            return end.or_else(|| node.tails.iter().find_map(|tail| self.tail(tail, None, wrong)));
        };
        let (segment, next) = split_first(text);
        if let Ok(found) = node.literals.binary_search_by(|(name, _)| (**name).cmp(segment))
            && let Some((_, child)) = node.literals.get(found)
            && let Some(binding) = self.node(*child, next, wrong)
        {
            return Some(binding);
        }
        if let Some(child) = node.single
            && let Some(binding) = self.node(child, next, wrong)
        {
            return Some(binding);
        }
        node.tails.iter().find_map(|tail| self.tail(tail, rest, wrong))
    }

    fn tail(&self, tail: &'t Tail, rest: Option<&[u8]>, wrong: &mut Option<&'t End>) -> Option<usize> {
        let mut left = rest;
        for segment in tail.rest.iter().rev() {
            let (before, last) = split_last(left?);
            match segment {
                Segment::Literal(text) if text.as_bytes() != last => return None,
                _ => left = before,
            }
        }
        self.end(&tail.end, wrong)
    }

    fn end(&self, end: &'t End, wrong: &mut Option<&'t End>) -> Option<usize> {
        if end.verb.as_deref() != self.verb {
            return None;
        }
        let by = |wanted: &[u8]| end.methods.iter().find(|(name, _)| **name == *wanted).map(|(_, binding)| *binding);
        let get = || (self.method == b"HEAD").then(|| by(b"GET")).flatten();
        let found = by(self.method).or_else(get).or_else(|| by(b"*"));
        if found.is_none() {
            wrong.get_or_insert(end);
        }
        found
    }
}

fn capture<'p>(entry: &Entry, variable: &Variable, path: &'p [u8]) -> Cow<'p, [u8]> {
    let segments = &entry.template.segments;
    let multi = segments.iter().position(|segment| *segment == Segment::Multi);
    let after_multi = |index: usize| multi.is_some_and(|multi| index > multi);
    let mut text = Some(path);
    let skip_front = |text: &mut Option<&'p [u8]>| *text = text.and_then(|text| split_first(text).1);
    let skip_back = |text: &mut Option<&'p [u8]>| *text = text.and_then(|text| split_last(text).0);
    if after_multi(variable.end) {
        // The variable's end is counted from the path's end.
        (variable.end..segments.len()).for_each(|_| skip_back(&mut text));
    }
    if after_multi(variable.start) {
        let count = variable.end - variable.start;
        text = text.map(|text| last_segments(text, count));
    } else {
        (0..variable.start).for_each(|_| skip_front(&mut text));
        if !multi.is_some_and(|multi| (variable.start..variable.end).contains(&multi)) {
            text = text.map(|text| first_segments(text, variable.end - variable.start));
        }
    }
    let single = variable.end == variable.start + 1 && multi != Some(variable.start);
    decode(text.unwrap_or_default(), single)
}

fn decode(text: &[u8], single: bool) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    percent_decode(text, |byte| single || !is_reserved(byte), &mut out);
    Cow::Owned(out)
}

/// RFC 6570 section 1.5.
fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&byte)
}

fn split_first(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == b'/') {
        Some(place) => (text.get(..place).unwrap_or_default(), text.get(place + 1..)),
        None => (text, None),
    }
}

fn split_last(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match text.iter().rposition(|&byte| byte == b'/') {
        Some(place) => (text.get(..place), text.get(place + 1..).unwrap_or_default()),
        None => (None, text),
    }
}

fn first_segments(text: &[u8], count: usize) -> &[u8] {
    let end = text.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place).nth(count.max(1) - 1);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn last_segments(text: &[u8], count: usize) -> &[u8] {
    let slashes = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    let start = slashes.map(|(place, _)| place + 1).nth(count.max(1) - 1);
    start.and_then(|start| text.get(start..)).unwrap_or(text)
}

fn find_or_add<T>(list: &mut Vec<T>, wanted: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let index = list.iter().position(wanted).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    &mut list[index]
}
