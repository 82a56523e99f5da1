//! One definition of a group of traits makes two types: the complete one that requests use, and the one with any of its
//! fields, which the data files and the configuration write.

/// A group: its name, the name of its overrides, and each field with its type and what holds for an unknown model.
macro_rules! group {
    (
        $(#[$about:meta])*
        $name:ident, $overrides:ident {
            $($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields, default)]
        pub struct $overrides {
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )*
        }

        impl $overrides {
            /// Replaces what these name.
            pub(crate) fn put(&self, into: &mut $name) {
                $(if let Some(value) = &self.$field {
                    into.$field.clone_from(value);
                })*
            }
        }
    };
}

/// An enum whose variants have snake-case names in data files and configuration.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }
    };
}

pub(crate) use {group, words};
