//! Where a record of JSON ends, without building it: brackets, strings and separators are followed, words and numbers
//! are left to the parser. No recursion, so the depth is no danger.

use memchr::memchr2;

/// Levels whose brackets are followed. Deeper JSON is no record of anything.
const DEEPEST: usize = 1 << 20;

/// Objects, and strings and words, that a record may have: a parsed object takes some 700 bytes, a value 32.
pub const MAX_OBJECTS: usize = 1 << 17;
pub const MAX_TOKENS: usize = 1 << 21;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// A name, after a bracket or a comma.
    Name,
    Colon,
    /// A comma or a closing bracket.
    Separator,
}

/// How far a [`Frame`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The value ends before this byte.
    Whole(usize),
    /// It goes on after the bytes that there are.
    More,
    /// The byte here cannot stand where it is.
    Wrong(usize),
    TooDeep,
}

/// One value, followed while its bytes come. It is more lenient than JSON, so that a parser refuses alone what is
/// wrong within its brackets: a comma too many, a name without quotes, a word that is none.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The next byte to look at; all before it are followed.
    pub at: usize,
    /// The bytes of the last string, without quotes, if nothing but space came after it.
    pub last_string: Option<(usize, usize)>,
    pub deepest: usize,
    /// Objects, and strings and words, so far.
    objects: usize,
    tokens: usize,
    /// The open brackets: whether each is an object's.
    open: Vec<bool>,
    expected: Expected,
    /// Where the open string begins.
    string: Option<usize>,
}

impl Frame {
    /// A value that begins at byte `at`.
    pub fn new(at: usize) -> Self {
        let (open, expected) = (Vec::new(), Expected::Value);
        Self { at, last_string: None, deepest: 0, objects: 0, tokens: 0, open, expected, string: None }
    }

    /// Whether it has more parts than are held at once.
    pub fn has_too_many_parts(&self) -> bool {
        self.objects > MAX_OBJECTS || self.tokens > MAX_TOKENS
    }

    /// Follows `bytes` from where it was; `ended` says that nothing comes after them.
    pub fn follow(&mut self, bytes: &[u8], ended: bool) -> Progress {
        while let Some(&byte) = bytes.get(self.at) {
            if let Some(start) = self.string {
                match memchr2(b'"', b'\\', &bytes[self.at..]) {
                    None => self.at = bytes.len(),
                    Some(offset) if bytes[self.at + offset] == b'"' => {
                        self.last_string = Some((start, self.at + offset));
                        self.at += offset + 1;
                        self.string = None;
                        self.after_token();
                    }
                    Some(offset) if self.at + offset + 1 == bytes.len() => {
                        self.at += offset;
                        return Progress::More;
                    }
                    Some(offset) => self.at += offset + 2,
                }
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if !self.token(byte, bytes, ended) {
                return if is_of_word(byte) && self.may_begin() { Progress::More } else { Progress::Wrong(self.at) };
            }
            if self.open.len() > DEEPEST {
                return Progress::TooDeep;
            }
            if self.string.is_none() && self.open.is_empty() && self.expected == Expected::Separator {
                return Progress::Whole(self.at);
            }
        }
        Progress::More
    }

    /// Forgets the bytes before [`at`](Self::at), which the caller passes.
    pub fn forget(&mut self) {
        (self.at, self.last_string) = (0, None);
        self.string = self.string.map(|_| 0);
    }

    /// Where the value ends by its brackets and strings alone, whatever else is wrong with it.
    pub fn balanced_end(&self, bytes: &[u8]) -> Progress {
        let (mut open, mut at, mut in_string) = (self.open.clone(), self.at, self.string.is_some());
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'\\' if in_string => at += 1,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => open.push(byte == b'{'),
                b'}' | b']' if !in_string => {
                    if open.pop() != Some(byte == b'}') {
                        return Progress::Wrong(at - 1);
                    }
                    if open.is_empty() {
                        return Progress::Whole(at);
                    }
                }
                _ => {}
            }
        }
        Progress::More
    }

    /// Brackets that are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether a name has to come next.
    pub fn expects_name(&self) -> bool {
        self.expected == Expected::Name
    }

    fn may_begin(&self) -> bool {
        matches!(self.expected, Expected::Value | Expected::Name)
    }

    /// Takes the token that begins with `byte`. False if it cannot stand here, or if its end is not there yet.
    fn token(&mut self, byte: u8, bytes: &[u8], ended: bool) -> bool {
        match byte {
            b'"' if self.may_begin() => self.string = Some(self.at + 1),
            b'{' | b'[' if self.expected == Expected::Value => {
                self.open.push(byte == b'{');
                self.objects += usize::from(byte == b'{');
                self.deepest = self.deepest.max(self.open.len());
                self.expected = if byte == b'{' { Expected::Name } else { Expected::Value };
            }
            b'}' | b']' if self.open.last() == Some(&(byte == b'}')) && self.expected != Expected::Colon => {
                self.open.pop();
                self.expected = Expected::Separator;
            }
            b':' if self.expected == Expected::Colon => self.expected = Expected::Value,
            b',' if self.expected == Expected::Separator => {
                self.expected = if self.open.last() == Some(&true) { Expected::Name } else { Expected::Value };
            }
            _ if is_of_word(byte) && self.may_begin() => {
                let length = bytes[self.at..].iter().take_while(|byte| is_of_word(**byte)).count();
                if self.at + length == bytes.len() && !ended {
                    return false;
                }
                self.at += length - 1;
                self.after_token();
            }
            _ => return false,
        }
        self.at += 1;
        self.last_string = None;
        true
    }

    /// After a string or a word, which is a name or a value.
    fn after_token(&mut self) {
        self.tokens += 1;
        self.expected = if self.expected == Expected::Name { Expected::Colon } else { Expected::Separator };
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'\'')
}
