//! PDFium's C functions that reading text takes, behind a safe interface.
//!
//! Signatures are those of PDFium's `public/*.h` (`fpdfview.h`, `fpdf_text.h`, `fpdf_edit.h`, `fpdf_annot.h`,
//! `fpdf_formfill.h`), which its makers keep stable. Numbers below without a source are enumerations of those headers.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_float, c_int, c_uint, c_ulong, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::ptr::{null, null_mut};

use libloading::{Library, Symbol};

use super::layout::{Field, Glyph};

/// Objects of a page that are looked at to tell what it shows.
const MAX_OBJECTS: c_int = 10_000;

/// Forms within forms that are looked into for the same.
const MAX_FORM_DEPTH: u32 = 4;

/// Bytes of a form field's value; a longer one is cut.
const MAX_FIELD_BYTES: c_ulong = 1 << 20;

/// What PDFium refers to: a document, a page, its text, an annotation, an object.
type Handle = *mut c_void;

/// `FPDF_LIBRARY_CONFIG` of version 2.
#[repr(C)]
struct LibraryConfig {
    version: c_int,
    user_font_paths: *const *const c_char,
    isolate: *mut c_void,
    embedder_slot: c_uint,
}

/// `FPDF_FORMFILLINFO`: its version, then callbacks, all of which are absent here.
#[repr(C)]
struct FormFillInfo {
    version: c_int,
    callbacks: [*mut c_void; 63],
}

macro_rules! functions {
    ($($field:ident = $name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions { $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?),* }

        impl Functions {
            /// # Safety
            /// `library` has to be PDFium, and has to stay loaded.
            unsafe fn of(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of PDFium's headers; the caller keeps the library loaded.
                unsafe {
                    Ok(Self { $($field: {
                        let symbol: Symbol<'_, unsafe extern "C" fn($($argument),*) $(-> $result)?> =
                            library.get(stringify!($name))?;
                        *symbol
                    }),* })
                }
            }
        }
    };
}

functions! {
    init = FPDF_InitLibraryWithConfig(*const LibraryConfig);
    load_document = FPDF_LoadMemDocument64(*const c_void, usize, *const c_char) -> Handle;
    last_error = FPDF_GetLastError() -> c_ulong;
    page_count = FPDF_GetPageCount(Handle) -> c_int;
    load_page = FPDF_LoadPage(Handle, c_int) -> Handle;
    close_page = FPDF_ClosePage(Handle);
    rotation = FPDFPage_GetRotation(Handle) -> c_int;
    set_rotation = FPDFPage_SetRotation(Handle, c_int);
    load_text = FPDFText_LoadPage(Handle) -> Handle;
    close_text = FPDFText_ClosePage(Handle);
    count_chars = FPDFText_CountChars(Handle) -> c_int;
    unicode = FPDFText_GetUnicode(Handle, c_int) -> c_uint;
    char_box = FPDFText_GetLooseCharBox(Handle, c_int, *mut [c_float; 4]) -> c_int;
    char_angle = FPDFText_GetCharAngle(Handle, c_int) -> c_float;
    count_objects = FPDFPage_CountObjects(Handle) -> c_int;
    object = FPDFPage_GetObject(Handle, c_int) -> Handle;
    object_type = FPDFPageObj_GetType(Handle) -> c_int;
    count_form_objects = FPDFFormObj_CountObjects(Handle) -> c_int;
    form_object = FPDFFormObj_GetObject(Handle, c_ulong) -> Handle;
    init_forms = FPDFDOC_InitFormFillEnvironment(Handle, *mut FormFillInfo) -> Handle;
    count_annotations = FPDFPage_GetAnnotCount(Handle) -> c_int;
    annotation = FPDFPage_GetAnnot(Handle, c_int) -> Handle;
    close_annotation = FPDFPage_CloseAnnot(Handle);
    annotation_subtype = FPDFAnnot_GetSubtype(Handle) -> c_int;
    annotation_flags = FPDFAnnot_GetFlags(Handle) -> c_int;
    annotation_rect = FPDFAnnot_GetRect(Handle, *mut [c_float; 4]) -> c_int;
    annotation_string = FPDFAnnot_GetStringValue(Handle, *const c_char, *mut u16, c_ulong) -> c_ulong;
    field_type = FPDFAnnot_GetFormFieldType(Handle, Handle) -> c_int;
    field_flags = FPDFAnnot_GetFormFieldFlags(Handle, Handle) -> c_int;
    field_value = FPDFAnnot_GetFormFieldValue(Handle, Handle, *mut u16, c_ulong) -> c_ulong;
}

/// The library, loaded and initialised; a process has one at most, and uses it from one thread.
pub struct Pdfium {
    functions: Functions,
    /// PDFium may not be used by two threads at once.
    one_thread: PhantomData<*const ()>,
}

impl Pdfium {
    /// Loads and initialises the library at `path`, for the process's whole life.
    ///
    /// # Errors
    /// What the loader says: no such file, another architecture, a function that is not there.
    pub fn load(path: &Path) -> Result<Self, String> {
        let say = |error: libloading::Error| error.to_string();
        // SAFETY: loading runs the library's initialisers; EMBED_PDFIUM_LIB is as trusted as this program.
        let library = unsafe { Library::new(path) }.map_err(say)?;
        // SAFETY: the library is never unloaded, see below.
        let functions = unsafe { Functions::of(&library) }.map_err(say)?;
        std::mem::forget(library);
        // No folders with fonts: text has to be the same wherever it is read.
        let fonts = [null::<c_char>()];
        let config =
            LibraryConfig { version: 2, user_font_paths: fonts.as_ptr(), isolate: null_mut(), embedder_slot: 0 };
        // SAFETY: the configuration is whole; the list of folders is copied.
        unsafe { (functions.init)(&config) };
        Ok(Self { functions, one_thread: PhantomData })
    }

    /// Opens a document, with the empty password if it is encrypted.
    pub fn open<'a>(&'a self, bytes: &'a [u8]) -> Result<Document<'a>, OpenError> {
        let f = &self.functions;
        // SAFETY: `bytes` outlives the document.
        let handle = unsafe { (f.load_document)(bytes.as_ptr().cast(), bytes.len(), null()) };
        if handle.is_null() {
            // SAFETY: no arguments.
            return Err(match unsafe { (f.last_error)() } {
                // FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
                4 | 5 => OpenError::Encrypted,
                code => OpenError::Broken(code),
            });
        }
        // PDFium keeps the address as long as the document is open, which here is until the process ends.
        let info = Box::leak(Box::new(FormFillInfo { version: 1, callbacks: [null_mut(); 63] }));
        // SAFETY: the document is open; version 1 needs no callback that reading values would call.
        let forms = unsafe { (f.init_forms)(handle, info) };
        Ok(Document { functions: f, handle, forms, bytes: PhantomData })
    }
}

/// Why a document was not opened.
pub enum OpenError {
    Encrypted,
    /// PDFium's error code.
    Broken(c_ulong),
}

/// An open document. It is never closed: the process ends with it.
pub struct Document<'a> {
    functions: &'a Functions,
    handle: Handle,
    /// Null where the document has no form.
    forms: Handle,
    bytes: PhantomData<&'a [u8]>,
}

impl Document<'_> {
    pub fn page_count(&self) -> u32 {
        // SAFETY: the document is open.
        unsafe { (self.functions.page_count)(self.handle) }.try_into().unwrap_or(0)
    }

    /// The page at `index`, from 0; `None` if PDFium cannot read it.
    pub fn page(&self, index: u32) -> Option<Page<'_>> {
        // SAFETY: the document is open; PDFium checks the index.
        let handle = unsafe { (self.functions.load_page)(self.handle, index.try_into().ok()?) };
        (!handle.is_null()).then_some(Page { functions: self.functions, forms: self.forms, handle })
    }
}

/// What a page shows beside text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub images: bool,
    /// Text objects, lines, shades.
    pub others: bool,
}

/// A loaded page.
pub struct Page<'a> {
    functions: &'a Functions,
    forms: Handle,
    handle: Handle,
}

impl Page<'_> {
    /// The page's characters in PDFium's order; `None` if it cannot say them. Where most of the text lies on its side
    /// the page is turned first, because the order depends on what is upright.
    pub fn glyphs(&self) -> Option<Vec<Glyph>> {
        let f = self.functions;
        let text = PageText::load(f, self.handle)?;
        // SAFETY: the page is loaded.
        let rotation = unsafe { (f.rotation)(self.handle) };
        let upright = text.quarter_turns();
        if upright == rotation {
            return Some(text.glyphs(upright));
        }
        drop(text);
        // SAFETY: the page is loaded, and its text is closed.
        unsafe { (f.set_rotation)(self.handle, upright) };
        PageText::load(f, self.handle).map(|text| text.glyphs(upright))
    }

    /// What people typed into the page: values of form fields, and text beside the page's own.
    pub fn fields(&self) -> Vec<Field> {
        let f = self.functions;
        // SAFETY: the page is loaded.
        let upright = unsafe { (f.rotation)(self.handle) } == 0;
        // SAFETY: the page is loaded.
        let count = unsafe { (f.count_annotations)(self.handle) }.min(MAX_OBJECTS);
        let mut fields = Vec::new();
        for index in 0..count {
            // SAFETY: the page is loaded, and there is an annotation of this index.
            let annotation = unsafe { (f.annotation)(self.handle, index) };
            if annotation.is_null() {
                continue;
            }
            let text = self.field_text(annotation);
            let mut rect = [0.0; 4];
            // SAFETY: the annotation is open, and the array is FS_RECTF: left, top, right, bottom.
            let placed = unsafe { (f.annotation_rect)(annotation, &mut rect) } != 0 && upright;
            let [left, top, _, bottom] = rect;
            // SAFETY: it was open until here.
            unsafe { (f.close_annotation)(annotation) };
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                fields.push(Field { text, place: placed.then_some((left, top.min(bottom), top.max(bottom))) });
            }
        }
        fields
    }

    /// The text that an annotation shows; `None` if it shows none that is to be read.
    fn field_text(&self, annotation: Handle) -> Option<String> {
        const HIDDEN_OR_NO_VIEW: c_int = 1 << 1 | 1 << 5;
        const FREE_TEXT: c_int = 3;
        const WIDGET: c_int = 20;
        const COMBO_LIST_TEXT: std::ops::RangeInclusive<c_int> = 4..=6;
        const PASSWORD: c_int = 1 << 13;
        let f = self.functions;
        // SAFETY: the annotation is open; so are page and form. Buffers have the length that is stated.
        unsafe {
            if (f.annotation_flags)(annotation) & HIDDEN_OR_NO_VIEW != 0 {
                return None;
            }
            match (f.annotation_subtype)(annotation) {
                FREE_TEXT => {
                    utf16(|buffer, length| (f.annotation_string)(annotation, c"Contents".as_ptr(), buffer, length))
                }
                WIDGET if !self.forms.is_null() => {
                    let is_text = COMBO_LIST_TEXT.contains(&(f.field_type)(self.forms, annotation));
                    let is_password = (f.field_flags)(self.forms, annotation) & PASSWORD != 0;
                    if !is_text || is_password {
                        return None;
                    }
                    utf16(|buffer, length| (f.field_value)(self.forms, annotation, buffer, length))
                }
                _ => None,
            }
        }
    }

    /// What the page shows, for one from which no text came.
    pub fn shown(&self) -> Shown {
        let f = self.functions;
        let mut shown = Shown::default();
        // SAFETY: the page is loaded, and PDFium answers null for an index that there is not.
        let count = unsafe { (f.count_objects)(self.handle) }.min(MAX_OBJECTS);
        for index in 0..count {
            // SAFETY: as above.
            self.look_at(unsafe { (f.object)(self.handle, index) }, MAX_FORM_DEPTH, &mut shown);
        }
        shown
    }

    fn look_at(&self, object: Handle, depth: u32, shown: &mut Shown) {
        const IMAGE: c_int = 3;
        const FORM: c_int = 5;
        let f = self.functions;
        if object.is_null() || (shown.images && shown.others) {
            return;
        }
        // SAFETY: the object belongs to the page, which is loaded.
        match unsafe { (f.object_type)(object) } {
            IMAGE => shown.images = true,
            FORM if depth > 0 => {
                // SAFETY: the object is a form; its objects live as long as it does.
                let count = unsafe { (f.count_form_objects)(object) }.clamp(0, MAX_OBJECTS) as c_ulong;
                for index in 0..count {
                    // SAFETY: as above.
                    self.look_at(unsafe { (f.form_object)(object, index) }, depth - 1, shown);
                }
            }
            _ => shown.others = true,
        }
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        // SAFETY: the page was loaded, and nothing of it is in use any more.
        unsafe { (self.functions.close_page)(self.handle) };
    }
}

/// The text of a loaded page.
struct PageText<'a> {
    functions: &'a Functions,
    handle: Handle,
    count: c_int,
}

impl<'a> PageText<'a> {
    fn load(functions: &'a Functions, page: Handle) -> Option<Self> {
        // SAFETY: the page is loaded, and stays so while this lives.
        let handle = unsafe { (functions.load_text)(page) };
        if handle.is_null() {
            return None;
        }
        // SAFETY: the text is loaded.
        let count = unsafe { (functions.count_chars)(handle) }.max(0);
        Some(Self { functions, handle, count })
    }

    /// Quarter turns, clockwise, after which most characters stand upright.
    fn quarter_turns(&self) -> c_int {
        let mut turns = [0; 4];
        for index in 0..self.count {
            // SAFETY: the text is loaded; PDFium checks the index.
            let (code, angle) = unsafe {
                ((self.functions.unicode)(self.handle, index), (self.functions.char_angle)(self.handle, index))
            };
            if char::from_u32(code).is_some_and(char::is_alphanumeric) && angle >= 0.0 {
                // Angles are radians, counted clockwise.
                let quarter = (angle / std::f32::consts::FRAC_PI_2).round() as usize % 4;
                turns[(4 - quarter) % 4] += 1;
            }
        }
        // Upright text wins a draw.
        (0..4).rev().max_by_key(|&turn| turns[turn as usize]).unwrap_or(0)
    }

    /// The characters, with places as they are after `turns` quarter turns.
    fn glyphs(&self, turns: c_int) -> Vec<Glyph> {
        let f = self.functions;
        let mut glyphs = Vec::with_capacity(self.count as usize);
        for index in 0..self.count {
            let mut rect = [0.0; 4];
            // SAFETY: the text is loaded; PDFium checks the index, and the array is FS_RECTF.
            let code = unsafe {
                (f.char_box)(self.handle, index, &mut rect);
                (f.unicode)(self.handle, index)
            };
            let [left, top, right, bottom] = rect;
            let (left, right, bottom, top) = match turns {
                1 => (bottom, top, -right, -left),
                2 => (-right, -left, -top, -bottom),
                3 => (-top, -bottom, left, right),
                _ => (left, right, bottom, top),
            };
            glyphs.push(Glyph { code, left, right, bottom, top });
        }
        glyphs
    }
}

impl Drop for PageText<'_> {
    fn drop(&mut self) {
        // SAFETY: the text was loaded, and is not in use any more.
        unsafe { (self.functions.close_text)(self.handle) };
    }
}

/// UTF-16 that `write` puts into a buffer of so many bytes; it answers how many there are, with the ending zero.
fn utf16(write: impl Fn(*mut u16, c_ulong) -> c_ulong) -> Option<String> {
    let length = write(null_mut(), 0).min(MAX_FIELD_BYTES) / 2;
    let mut buffer = vec![0; length as usize];
    let written = write(buffer.as_mut_ptr(), length * 2);
    // A longer value is not written at all.
    (written <= length * 2).then(|| String::from_utf16_lossy(&buffer).trim_end_matches('\0').replace('\r', "\n"))
}
