#!/usr/bin/env node
import { launch } from './launch.js';

launch('lpad', 'ctl/main.ts');
