//! Chat templates: how a conversation becomes a prompt.
//!
//! A template comes with a model, from anywhere. It runs on a budget of steps, writes at most so many bytes, reaches no
//! file, and its errors show nothing of the messages.

use std::io::{self, Write};

use hydra_llm::{Message, Role};
use minijinja::{Environment, Error, ErrorKind, context};

use crate::LmError;
use crate::facts::Facts;

/// A template that was parsed.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

impl ChatTemplate {
    pub(crate) fn new(facts: &Facts) -> Result<Option<Self>, LmError> {
        let Some(source) = &facts.chat_template else { return Ok(None) };
        if source.len() > MAX_SOURCE {
            return Err(LmError::Template { reason: "it is longer than any template is" });
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // As the templates expect it that are written for the Python engine.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |_: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, "the template refuses the messages"))
        });
        environment.add_template_owned(NAME, source.clone()).map_err(|error| refused(&error))?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(Some(Self { environment, begin: text(&facts.begin_text), end: text(&facts.end_text) }))
    }

    /// The prompt after which the model answers.
    pub(crate) fn render(&self, messages: &[(Role, &str)]) -> Result<String, LmError> {
        let messages: Vec<_> = messages
            .iter()
            .map(|(role, text)| {
                let role = match role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                context! { role => role, content => text }
            })
            .collect();
        let template = self.environment.get_template(NAME).map_err(|error| refused(&error))?;
        let data = context! {
            messages => messages, add_generation_prompt => true, bos_token => self.begin, eos_token => self.end,
        };
        let mut out = Bounded(Vec::new());
        template.render_captured_to(data, &mut out).map_err(|error| refused(&error))?;
        String::from_utf8(out.0).map_err(|_| LmError::Template { reason: "it writes what is not utf-8" })
    }
}

/// The messages as `(role, text)`.
pub(crate) fn parts(messages: &[Message]) -> Vec<(Role, &str)> {
    messages.iter().map(|message| (message.role, message.text.as_str())).collect()
}

/// Takes no more than [`MAX_OUTPUT`] bytes.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refused(error: &Error) -> LmError {
    LmError::Template {
        reason: match error.kind() {
            ErrorKind::OutOfFuel => "it does not end",
            ErrorKind::SyntaxError => "it has a syntax error",
            ErrorKind::WriteFailure => "it writes more than any prompt holds",
            ErrorKind::InvalidOperation => "it refuses the messages, or does something that is not possible",
            _ => "it uses something that is not known here",
        },
    }
}

const NAME: &str = "chat";
/// Steps of a rendering: a conversation takes some dozens a message.
const FUEL: u64 = 2_000_000;
const MAX_SOURCE: usize = 1 << 20;
const MAX_OUTPUT: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, texts: &[&str]) -> Result<String, LmError> {
        let facts = Facts {
            name: "a model".into(),
            context: 64,
            begin: None,
            begin_text: Some("<s>".into()),
            end_text: None,
            stops: Vec::new(),
            chat_template: Some(source.into()),
        };
        let messages: Vec<_> = texts.iter().map(|text| (Role::User, *text)).collect();
        ChatTemplate::new(&facts)?.expect("there is one").render(&messages)
    }

    #[test]
    fn messages_are_written_in_their_order() {
        let source = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'].strip() }}\n{% endfor %}\
                      {% if add_generation_prompt %}[assistant]{% endif %}";
        assert_eq!(render(source, &[" one ", "two"]).unwrap(), "<s>[user] one\n[user] two\n[assistant]");
    }

    #[test]
    fn a_template_that_loops_or_floods_is_refused_in_bounded_time() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% set c = a * b %}{% endfor %}{% endfor %}";
        assert!(matches!(render(loops, &["x"]), Err(LmError::Template { reason: "it does not end" })));
        let calls_itself = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
        assert!(matches!(render(calls_itself, &["x"]), Err(LmError::Template { .. })));
        let floods = "{% for a in range(9999) %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfor %}";
        let long = "x".repeat(1 << 20);
        assert!(matches!(render(floods, &[&long]), Err(LmError::Template { .. })));
    }

    #[test]
    fn an_error_shows_nothing_of_the_messages() {
        let error = render("{{ raise_exception(messages[0].content) }}", &["a canary"]).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("canary"));
        assert!(matches!(render("{% for %}", &["x"]), Err(LmError::Template { reason: "it has a syntax error" })));
    }
}
