// The plugin: each function of the exported interface is a tool. A record's
// fields and a function's name are camelCase here; an option is its value or
// undefined; `throw new Error(text)` is the error of a result.
import { emit } from 'wardroom:automation/log@0.1.0';

export const words = {
  count({ text, minLength }) {
    const counted = text.split(/\s+/).filter((word) => word !== '' && [...word].length >= (minLength ?? 0));
    if (counted.length === 0) throw new Error('the text has no words');
    emit('info', `counted ${counted.length} words`);
    return {
      words: counted.length,
      characters: [...counted.join('')].length,
      longest: counted.reduce((longest, word) => ([...word].length > [...longest].length ? word : longest)),
    };
  },
};
