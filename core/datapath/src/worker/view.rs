//! A request's fields as routing and authentication read them.

use crate::authenticate::extract::RequestView;
use crate::http2::hpack::{Dictionary, HeaderList, Token};
use crate::route::routes::Headers;

pub(super) struct View<'r> {
    pub(super) dictionary: &'r Dictionary,
    pub(super) list: &'r HeaderList,
    pub(super) query: Option<&'r [u8]>,
}

impl RequestView for View<'_> {
    fn headers<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        let token = Token::of(name.as_bytes());
        for index in 0..self.list.len() {
            if self.list.token(index) == token && self.list.name(self.dictionary, index) == name.as_bytes() {
                each(self.list.value(self.dictionary, index));
            }
        }
    }

    fn query(&self) -> Option<&[u8]> {
        self.query
    }
}

impl Headers for View<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut passed = false;
        RequestView::headers(self, name, &mut |value| passed |= test(value));
        passed
    }
}
