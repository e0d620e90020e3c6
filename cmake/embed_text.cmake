# Writes a C++ file that defines `const char* const ${NAME}` in namespace ${NAMESPACE} with the text of the file ${IN}.
file(READ ${IN} text)
file(WRITE ${OUT} "namespace ${NAMESPACE} {\nextern const char* const ${NAME};\nconst char* const ${NAME} = R\"text(${text})text\";\n}  // namespace ${NAMESPACE}\n")
