//! Prompts: a template that is data, filled with records that stay data.
//!
//! A record of a user's history is text that anybody may have written: a mail, a web page, a review. Whatever it says,
//! it must not be able to end the place where it is quoted, nor to speak in another role. Two layers see to that, each
//! enough alone:
//!
//! 1. **Escape.** A record becomes one line of JSON in which no angle bracket, no marker of a chat template, no line
//!    break, no control and no invisible character stands as itself.
//! 2. **Fence.** The lines lie between two marks that carry a number which depends on a secret and on all the texts: who
//!    writes a record cannot know it, and if it should ever occur in a text another one is taken.
//!
//! Records never stand in the system role: a template whose system text has a placeholder is refused. What is cut off
//! an over-long history is cut by a rule that the caller chose and is reported. The same inputs give the same prompt,
//! so that answers can be cached and recorded.
//!
//! A model can still be *persuaded* by what it reads between the marks. No prompt prevents that; it is why a candidate
//! is chosen from several, by what the user would have chosen, and why the line before the marks says that they hold data.

mod escape;
mod fence;
mod read;
mod render;
mod template;

pub use fence::FenceKey;
pub use read::{QuotedRecord, ReadError, read_history};
pub use render::{Cut, LengthLimits, OverLength, PromptError, Rendered};
pub use template::{Template, TemplateError, TemplateParts};
