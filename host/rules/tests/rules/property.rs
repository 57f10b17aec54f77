//! Whatever a script calls: a step a call, and the same decision each time.

use proptest::prelude::*;

use crate::support::{MESSAGE, compile, content, facts};

fn call() -> impl Strategy<Value = String> {
    let name = "[A-Za-z][A-Za-z0-9-]{0,8}";
    prop_oneof![
        Just("m.keep()".to_owned()),
        name.prop_map(|text| format!("m.skip(\"{text}\")")),
        (name, name).prop_map(|(a, b)| format!("m.move_to(\"{a}/{b}\")")),
        name.prop_map(|a| format!("m.copy_to([\"{a}\"])")),
        Just("m.move_to_role(\"junk\")".to_owned()),
        name.prop_map(|a| format!("m.send_to(\"{a}\")")),
        (name, name).prop_map(|(a, b)| format!("m.send_to(\"{a}\", \"{b}\")")),
        name.prop_map(|a| format!("m.set_flag(\"k{a}\")")),
        name.prop_map(|a| format!("m.clear_flag(\"k{a}\")")),
        "[a-c]".prop_map(|a| format!("m.add_keyword(\"{a}\")")),
        "[a-c]".prop_map(|a| format!("m.remove_keyword(\"{a}\")")),
        "[a-c]".prop_map(|a| format!("m.add_label(\"{a}\")")),
        "[a-c]".prop_map(|a| format!("m.remove_label(\"{a}\")")),
        (name, "[ -!#-Z]{0,20}").prop_map(|(a, b)| format!("m.set_header(\"X-{a}\", \"{b}\")")),
        name.prop_map(|a| format!("m.add_header(\"X-{a}\", m.subject)")),
        name.prop_map(|a| format!("m.remove_header(\"{a}\")")),
        name.prop_map(|a| format!("m.rewrite_header(\"Subject\", \"{a}\", \"b\")")),
        Just("m.rewrite_domain(\"a.example\", \"b.example\")".to_owned()),
        Just("m.note(`${m.attachments.len()} ${m.text}`)".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_step_for_each_call_and_the_same_decision_twice(calls in prop::collection::vec(call(), 0..30)) {
        let script = format!("fn message(m) {{\n{}\n}}", calls.iter().map(|call| format!("{call};\n")).collect::<String>());
        let rules = compile(&script);
        let decision = rules.item(&facts(), content(MESSAGE)).unwrap();
        prop_assert_eq!(decision.steps.len(), calls.len());
        for (line, (step, call)) in decision.steps.iter().zip(&calls).enumerate() {
            prop_assert_eq!(step.line as usize, line + 2);
            prop_assert_eq!(&step.rule, "message");
            let verb = call.trim_start_matches("m.").split('(').next().unwrap();
            prop_assert_eq!(step.did.split(' ').next().unwrap(), verb);
        }
        let disjoint = |a: &[String], b: &[String]| !a.iter().any(|name| b.contains(name));
        prop_assert!(disjoint(&decision.set_flags, &decision.clear_flags));
        prop_assert!(disjoint(&decision.add_labels, &decision.remove_labels));
        prop_assert_eq!(&rules.item(&facts(), content(MESSAGE)).unwrap(), &decision);
        prop_assert_eq!(&compile(&script).item(&facts(), content(MESSAGE)).unwrap(), &decision);
    }

    #[test]
    fn no_text_brings_the_compiler_down(text in "[ -~\n]{0,80}") {
        let _ = whimbrel_rules::Rules::compile("x", &text, &whimbrel_rules::Options::default());
    }
}
